//! What a teacher sees of the streams to real servers, and ends.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use socketlab_server::{LanOptions, ServeOptions};
use socketlab_wisp::{ClientEvent, Reason};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Page, Relay, options, soon, start, target};

/// The status and the body of an answer.
async fn request(relay: &Relay, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(relay.address).await.unwrap();
    let host = relay.address;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("an answer", tcp.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

const WORD: &str = "authorization: Bearer kalkyl\r\n";

async fn school() -> Relay {
    let lan = LanOptions { teacher_word: Some("kalkyl".into()), ..LanOptions::default() };
    start(ServeOptions { lan, ..options(&["127.0.0.1:1-65535"]) }).await
}

async fn streams(relay: &Relay) -> Vec<Value> {
    let (status, body) = request(relay, "GET", "/teacher/streams", WORD).await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let rows = answer["streams"].as_array().unwrap().clone();
    assert_eq!(answer["total"], rows.len());
    rows
}

async fn open(page: &mut Page) -> (socketlab_wisp::StreamId, TcpStream, std::net::SocketAddr) {
    let (listener, address) = target().await;
    let (id, _) = page.connect(address).await;
    let (server, _) = listener.accept().await.unwrap();
    (id, server, address)
}

#[tokio::test]
async fn a_teacher_sees_the_open_streams_and_ends_one() {
    let relay = school().await;
    let (mut anna, mut bo) = (relay.ours().await, relay.ours().await);
    let (first, mut server, address) = open(&mut anna).await;
    let (second, mut other, _) = open(&mut bo).await;
    anna.send(first, b"hej").await;
    server.read_exact(&mut [0; 3]).await.unwrap();
    server.write_all(b"svar!").await.unwrap();
    assert_eq!(anna.read(first, 5).await, b"svar!");

    let rows = streams(&relay).await;
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row["target"] == address.to_string()).unwrap();
    let told = ["kind", "address", "host", "octets_up", "octets_down"].map(|name| row[name].to_string());
    assert_eq!(told, ["\"tcp\"", "\"127.0.0.1\"", "\"127.0.0.1\"", "3", "5"]);
    assert_ne!(rows[0]["session"], rows[1]["session"], "two pages");

    let path = format!("/teacher/streams/{}", row["id"]);
    assert_eq!(request(&relay, "DELETE", &path, WORD).await.0, 204);
    let (errno, text, reason) = anna.failed(first).await;
    assert_eq!((errno, reason), (103, Reason::NETWORK_ERROR));
    assert_eq!(text, "a teacher closed this connection");
    let end = soon("the target's end", server.read_u8()).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(request(&relay, "DELETE", &path, WORD).await.0, 404, "it is over");

    // The other one lives on; one that its page closes goes from the list by itself.
    other.write_all(b"x").await.unwrap();
    assert_eq!(bo.read(second, 1).await, b"x");
    bo.client.close(second, Reason::VOLUNTARY);
    bo.pump().await;
    soon("an empty list", async {
        while !streams(&relay).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_udp_stream_is_listed_and_ended_too() {
    let relay = school().await;
    let mut page = relay.ours().await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let id = page.udp(socket.local_addr().unwrap());
    page.client.send_datagram(id, b"hej");
    page.pump().await;
    soon("a datagram", socket.recv(&mut [0; 9])).await.unwrap();
    let rows = streams(&relay).await;
    assert_eq!((rows[0]["kind"].as_str(), rows[0]["octets_up"].as_u64()), (Some("udp"), Some(3)));
    let path = format!("/teacher/streams/{}", rows[0]["id"]);
    assert_eq!(request(&relay, "DELETE", &path, WORD).await.0, 204);
    let closed = page.wait_for(|event| match event {
        ClientEvent::Closed { stream, reason, .. } if *stream == id => Some(*reason),
        _ => None,
    });
    assert_eq!(closed.await, Reason::NETWORK_ERROR);
}

#[tokio::test]
async fn a_connection_through_wsproxy_is_listed_and_ended_too() {
    let relay = school().await;
    let (listener, address) = target().await;
    let mut socket = relay.open(&format!("/wsproxy/{address}")).await;
    let (mut server, _) = listener.accept().await.unwrap();
    socket.send(Message::binary(&b"hej"[..])).await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    let rows = streams(&relay).await;
    assert_eq!((rows[0]["kind"].as_str(), rows[0]["octets_up"].as_u64()), (Some("wsproxy"), Some(3)));
    assert_eq!(rows[0]["target"], address.to_string());
    let path = format!("/teacher/streams/{}", rows[0]["id"]);
    assert_eq!(request(&relay, "DELETE", &path, WORD).await.0, 204);
    let closed = soon("the end", async {
        loop {
            if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                break frame.unwrap();
            }
        }
    });
    assert_eq!(closed.await.reason.as_str(), "a teacher closed this connection");
    soon("an empty list", async {
        while !streams(&relay).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_else_sees_or_ends_anything() {
    let relay = school().await;
    let without = start(options(&[])).await;
    for (method, path) in [("GET", "/teacher/streams"), ("DELETE", "/teacher/streams/1")] {
        assert_eq!(request(&relay, method, path, "").await.0, 401);
        assert_eq!(request(&relay, method, path, "authorization: Bearer guessed\r\n").await.0, 401);
        assert_eq!(request(&without, method, path, WORD).await.0, 401, "no word is the word");
        let foreign = format!("{WORD}origin: http://evil.example\r\n");
        assert_eq!(request(&relay, method, path, &foreign).await.0, 403);
    }
    let metrics = relay.control.metrics();
    assert!(metrics.contains("socketlab_refused_total{reason=\"wrong_teacher_word\"} 2"), "{metrics}");
    for _ in 0..20 {
        request(&relay, "GET", "/teacher/streams", "authorization: Bearer guessed\r\n").await;
    }
    assert_eq!(request(&relay, "GET", "/teacher/streams", WORD).await.0, 429, "guessing is slow");
}
