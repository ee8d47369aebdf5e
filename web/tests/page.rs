//! The page in a real browser, told by a stream of updates what happens: what is then in the document, and which
//! commands a click sends.

use std::cell::Cell;
use std::rc::Rc;

use leptos::mount::mount_to;
use leptos::prelude::{Update as _, *};
use socketlab_protocol::{
    Command, LabProblem, ProgramView, PythonState, RelayState, RunState, Speed, Update,
};
use socketlab_view::{
    CallView, ConsoleStream, Event, EventKind, FrameView, NodeChange, NodeKind, SocketRow, TopologyLink,
    TopologyNode, TopologyView,
};
use socketlab_web::app::{Shell, hear};
use socketlab_web::bridge::Bridge;
use socketlab_web::state::Page;
use socketlab_web::state::files::StudentFile;
use socketlab_web::texts::{Lang, Texts, duration, milliseconds, text, try_text};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
use web_sys::HtmlElement;

wasm_bindgen_test_configure!(run_in_browser);

struct Window {
    page: Page,
    root: HtmlElement,
    seq: u64,
}

impl Window {
    /// A page with a lab of two hosts.
    fn open() -> Window {
        let document = web_sys::window().and_then(|window| window.document()).expect("a document");
        let root: HtmlElement = document.create_element("div").expect("a div").unchecked_into();
        document.body().expect("a body").append_child(&root).expect("room for it");
        let made = Rc::new(Cell::new(None));
        let slot = Rc::clone(&made);
        mount_to(root.clone(), move || {
            let page = Page::new(Bridge::nowhere());
            slot.set(Some(page));
            provide_context(Texts(RwSignal::new(Lang::Sv)));
            provide_context(page);
            view! { <Shell /> }
        })
        .forget();
        let page = made.get().expect("the page was mounted");
        let mut window = Window { page, root, seq: 0 };
        window.hear(lab());
        page.files.set(
            ["server.py", "client.py"]
                .map(|name| StudentFile {
                    name: name.into(),
                    original: "pass\n".into(),
                    text: "pass\n".into(),
                })
                .to_vec(),
        );
        window
    }

    fn hear(&mut self, update: Update) {
        hear(self.page, update);
    }

    fn happens(&mut self, at: u64, kind: EventKind) {
        let event = Event { seq: self.seq, at, kind };
        self.seq += 1;
        self.hear(Update::Events(vec![event]));
        self.hear(Update::Clock { now: at, rate: 0, next: None });
    }

    fn find(&self, testid: &str) -> Option<HtmlElement> {
        let found =
            self.root.query_selector(&format!("[data-testid=\"{testid}\"]")).expect("a valid selector");
        found.map(|element| element.unchecked_into())
    }

    async fn text(&self, testid: &str) -> String {
        settled().await;
        self.find(testid).unwrap_or_else(|| panic!("no {testid}")).text_content().unwrap_or_default()
    }

    async fn click(&self, testid: &str) {
        settled().await;
        self.find(testid).unwrap_or_else(|| panic!("no {testid}")).click();
        settled().await;
    }

    fn sent(&self) -> Vec<Command> {
        self.page.bridge.waiting()
    }
}

/// Effects have run and the document shows it.
async fn settled() {
    leptos::task::tick().await;
}

fn lab() -> Update {
    let node = |name: &str, kind, address: &str, programs: Vec<u32>| TopologyNode {
        name: name.into(),
        kind,
        addresses: if address.is_empty() { vec![] } else { vec![address.into()] },
        programs,
    };
    let program = |index: u32, host: &str, file: &str, forever| ProgramView {
        program: index,
        node: index,
        host: host.into(),
        file: file.into(),
        forever,
    };
    Update::LabLoaded {
        title: "Echo".into(),
        topology: TopologyView {
            nodes: vec![
                node("server", NodeKind::Host, "10.0.0.80", vec![0]),
                node("client", NodeKind::Host, "10.0.0.11", vec![1]),
            ],
            links: vec![TopologyLink { ends: (0, 1), delay: 1_000_000, rate: 0 }],
        },
        programs: vec![program(0, "server", "server.py", true), program(1, "client", "client.py", false)],
    }
}

/// An Ethernet frame with an IPv4 packet with a SYN from 13401 to 80, as captured.
const SYN: &str = "020000000080020000000011080045000028000100004006666c0a00000b0a00005034590050000000010000000050\
                   02faf000000000";

fn syn() -> EventKind {
    let bytes: Vec<u8> =
        (0..SYN.len() / 2).map(|i| u8::from_str_radix(&SYN[2 * i..2 * i + 2], 16).expect("hex")).collect();
    EventKind::FrameSent(Box::new(FrameView {
        frame: 1,
        packet: 1,
        link: 0,
        from: 1,
        to: 0,
        target: Some(0),
        tcp: None,
        expert: vec![],
        tcpdump: String::new(),
        arrives: 2_000_000,
        bytes,
        first_hop: true,
        protocol: "TCP".into(),
        source: "10.0.0.11".into(),
        destination: "10.0.0.80".into(),
        ports: Some((13401, 80)),
        info: "13401 → 80 [SYN] Seq=0 Win=64240 Len=0".into(),
        label: "SYN seq=0".into(),
        cause: None,
        conversation: Some(0),
        context: socketlab_view::Context::default(),
    }))
}

#[test]
async fn run_sends_the_files_as_they_are_in_the_editor() {
    let window = Window::open();
    window.page.files.update(|files| files[1].text = "print('hej')\n".into());
    window.click("run").await;
    let Some(Command::RunAll { files }) = window.sent().pop() else { panic!("{:?}", window.sent()) };
    assert_eq!(files[1].name, "client.py");
    assert_eq!(files[1].text, "print('hej')\n");
}

#[test]
async fn pause_becomes_resume_and_a_step_is_of_the_chosen_kind() {
    let mut window = Window::open();
    settled().await;
    assert!(window.find("pause").expect("a button").has_attribute("disabled"), "nothing runs yet");
    window.hear(Update::Run(RunState::Running));
    window.click("pause").await;
    assert_eq!(window.sent().pop(), Some(Command::Pause));
    window.hear(Update::Run(RunState::Paused));
    assert!(window.text("pause").await.contains("Fortsätt"));
    assert_eq!(
        window.find("run-state").and_then(|chip| chip.get_attribute("data-state")).as_deref(),
        Some("paused")
    );
    window.click("pause").await;
    assert_eq!(window.sent().pop(), Some(Command::Resume));
    window.click("step").await;
    assert_eq!(window.sent().pop(), Some(Command::Step(socketlab_protocol::Step::Event)));
    window.click("speed-instant").await;
    assert_eq!(window.sent().pop(), Some(Command::SetSpeed(Speed::Instant)));
}

#[test]
async fn a_packet_is_in_ladder_list_and_inspector() {
    let mut window = Window::open();
    window.hear(Update::RunStarted);
    window.happens(1_000_000, syn());
    window.happens(2_000_000, EventKind::FrameDelivered { frame: 1 });
    let ladder = window.text("ladder-table").await;
    for part in ["client:13401", "server:80", "SYN seq=0", "1,000"] {
        assert!(ladder.contains(part), "{part} in {ladder}");
    }
    assert!(window.text("packet-list").await.contains("13401 → 80 [SYN]"));
    let row = window.root.query_selector("[data-testid=packet-list] [data-packet]").expect("a selector");
    row.expect("a row").unchecked_into::<HtmlElement>().click();
    let tree = window.text("packet-tree").await;
    for part in ["Källport: 13401", "tcp.dstport", "Internet Protocol Version 4"] {
        assert!(tree.contains(part), "{part} in {tree}");
    }
}

#[test]
async fn a_new_run_forgets_the_one_before() {
    let mut window = Window::open();
    window.hear(Update::RunStarted);
    window.happens(1_000_000, syn());
    window.hear(Update::RunStarted);
    assert!(!window.text("ladder-table").await.contains("SYN"));
    assert!(!window.text("packet-list").await.contains("SYN"));
    assert_eq!(window.text("clock").await, "0,000 ms");
}

#[test]
async fn each_program_has_its_console_and_what_waits_says_why() {
    let mut window = Window::open();
    window.hear(Update::RunStarted);
    window.happens(0, EventKind::ProgramStarted { program: 0, node: 0 });
    let text = "Lyssnar på port 80\n".to_owned();
    window.happens(10_000, EventKind::Console { program: 0, stream: ConsoleStream::Stdout, text });
    window.happens(
        20_000,
        EventKind::CallEntered(Box::new(CallView {
            call: 1,
            program: 0,
            node: 0,
            tid: 1,
            name: "accept".into(),
            args: String::new(),
            place: "server.py:9".into(),
            socket: Some(1),
            conversation: None,
        })),
    );
    window.hear(Update::Clock { now: 5_000_000, rate: 0, next: None });
    assert!(window.text("console-server.py").await.contains("Lyssnar på port 80"));
    assert!(!window.text("console-client.py").await.contains("Lyssnar"));
    let wait = window.text("wait").await;
    assert!(wait.contains("Rad 9 väntar i accept()"), "{wait}");
}

#[test]
async fn sockets_are_listed_as_ss_spells_them() {
    let mut window = Window::open();
    let row = SocketRow {
        socket: 1,
        netid: "tcp".into(),
        state: "LISTEN".into(),
        recv_q: 1,
        send_q: 5,
        local: "10.0.0.80:80".into(),
        peer: "0.0.0.0:*".into(),
        process: "server.py fd=3".into(),
        program: Some(0),
        conversation: None,
        syn_queue: 0,
        in_accept_queue: false,
        recv_head: vec![],
        recv_buffer: 131_072,
        send_buffer: 16_384,
        tcb: None,
        timers: vec![],
    };
    let change = NodeChange { at: 0, node: 0, sockets: vec![row], ..NodeChange::default() };
    window.hear(Update::Nodes(vec![change.clone()]));
    settled().await;
    let table = window.find("sockets-table").expect("the table");
    let cells = table.get_elements_by_tag_name("td");
    let cells: Vec<String> = (0..cells.length())
        .filter_map(|i| cells.item(i)?.text_content())
        .map(|cell| cell.trim().to_owned())
        .collect();
    assert_eq!(cells, ["server", "tcp", "LISTEN", "1", "5", "10.0.0.80:80", "0.0.0.0:*", "server.py fd=3"]);

    // Later it is gone; a look at the past brings it back.
    let later = NodeChange { at: 5_000_000, sockets: vec![], gone: vec![1], tables: None, ..change };
    window.hear(Update::Nodes(vec![later]));
    window.hear(Update::Clock { now: 9_000_000, rate: 0, next: None });
    assert!(!window.text("sockets-table").await.contains("LISTEN"));
    window.page.look_at(4_999_999);
    assert!(window.text("sockets-table").await.contains("LISTEN"));
}

#[test]
async fn troubles_are_told_calmly() {
    let mut window = Window::open();
    window.hear(Update::Python(PythonState::Loading { loaded: 4_000_000, total: 10_000_000 }));
    settled().await;
    assert!(window.find("python-progress").is_some());
    window.hear(Update::Python(PythonState::NoJspi));
    assert!(window.text("no-jspi").await.contains("Chrome, Edge eller Firefox"));
    window.hear(Update::Relay(RelayState::Lost { retry_ms: 2_000 }));
    settled().await;
    let relay = window.find("relay-status").and_then(|status| status.get_attribute("data-state"));
    assert_eq!(relay.as_deref(), Some("lost"));
    window.hear(Update::LabRefused(vec![LabProblem {
        file: "lab.toml".into(),
        line: 12,
        field: "link[0].between".into(),
        key: "lab-missing-node-near".into(),
        args: vec![("name".into(), "sever".into()), ("nearest".into(), "server".into())],
        text: String::new(),
    }]));
    let problem = window.text("problem").await;
    for part in ["lab.toml:12", "link[0].between", "menade du ”server”?"] {
        assert!(problem.contains(part), "{part} in {problem}");
    }
}

#[test]
async fn the_language_changes_at_once() {
    let window = Window::open();
    assert!(window.text("run").await.contains("Kör alla"));
    window.click("lang-en").await;
    assert!(window.text("run").await.contains("Run all"));
    window.click("lang-sv").await;
}

#[test]
async fn the_past_can_be_looked_at_and_left() {
    let mut window = Window::open();
    window.hear(Update::RunStarted);
    window.happens(1_000_000, syn());
    window.happens(2_000_000, EventKind::FrameDelivered { frame: 1 });
    window.page.step_back();
    assert_eq!(window.text("clock").await, "1,000 ms");
    assert_eq!(
        window.find("run-state").and_then(|chip| chip.get_attribute("data-state")).as_deref(),
        Some("past")
    );
    window.click("run-state").await;
    assert_eq!(window.text("clock").await, "2,000 ms");
}

#[test]
fn numbers_are_written_as_each_language_does() {
    assert_eq!(milliseconds(Lang::Sv, 12_400_000, 3), "12,400");
    assert_eq!(milliseconds(Lang::En, 12_400_000, 3), "12.400");
    assert_eq!(milliseconds(Lang::Sv, 61_234_567_890, 1), "61\u{202f}234,6");
    assert_eq!(milliseconds(Lang::En, 0, 0), "0");
    assert_eq!(duration(Lang::Sv, 2_100_000), "2,1\u{a0}ms");
    assert_eq!(duration(Lang::En, 60_000_000_000), "60\u{a0}s");
    assert_eq!(duration(Lang::En, 10_000), "10\u{a0}µs");
}

#[test]
fn parameters_and_plurals_are_filled_in() {
    assert_eq!(
        text(Lang::Sv, "wait-line", &[("line", "7"), ("call", "recv(1024)")]),
        "Rad 7 väntar i recv(1024)."
    );
    assert_eq!(
        text(Lang::En, "inspector-field", &[("name", "tcp.srcport"), ("octets", "2")]),
        "tcp.srcport, 2 bytes"
    );
    assert_eq!(text(Lang::En, "inspector-field", &[("name", "ip.ttl"), ("octets", "1")]), "ip.ttl, 1 byte");
    assert_eq!(try_text(Lang::En, "no-such-key", &[]), None);
}

#[test]
fn swedish_is_for_swedish_browsers_only() {
    assert_eq!(Lang::from_code("sv-SE"), Lang::Sv);
    assert_eq!(Lang::from_code("sv"), Lang::Sv);
    assert_eq!(Lang::from_code("svx"), Lang::En);
    assert_eq!(Lang::from_code("de-DE"), Lang::En);
}
