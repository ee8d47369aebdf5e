//! What the tables of a lab file mean together: who is joined with whom, who has which address, which way packets go,
//! and the world that comes of it.

mod addresses;
mod extras;
mod routes;
mod shared;
mod wiring;

use std::collections::BTreeSet;

use socketlab_netsim::{Deed, End, GatewayName, LinkId, NodeId, Program, WorldBuilder};
use socketlab_stack::MacAddr;

use crate::file::{File, HostEntry, Role};
use crate::read::Reader;
use addresses::Macs;
use routes::Map;
pub use shared::RoomAddress;
use wiring::{Nic, Wiring};

/// Turns a file into a world's parts. Problems go to the reader; the parts are then not used.
/// `room`: the addresses of a shared LAN that was joined, one for each host in the network that leads there.
pub(crate) fn plan(reader: &mut Reader<'_>, file: &File, room: Option<&[RoomAddress]>) -> WorldBuilder {
    let wiring = wiring::wire(reader, file);
    let entries = file.nodes.as_slice();
    let mut nics = wiring.nics(entries);
    let outsides = extras::outsides(reader, entries, &nics, &wiring);
    let hidden: BTreeSet<usize> = outsides
        .iter()
        .flat_map(|(router, outside)| {
            let own = nics.get(*router).into_iter().flatten().enumerate();
            own.filter(move |(place, _)| place != outside).map(|(_, nic)| nic.network)
        })
        .collect();
    addresses::give(reader, entries, &mut nics, &hidden);
    shared::check(reader, file, &nics, &wiring);
    let moved = room.map(|room| {
        let aliases = shared::move_in(&mut nics, &wiring, room);
        shared::rewrite(file, &aliases)
    });
    let file = moved.as_ref().unwrap_or(file);
    let entries = file.nodes.as_slice();

    let mut builder = WorldBuilder::new(0);
    add_nodes(&mut builder, entries, &wiring);
    add_links(reader, &mut builder, file, &nics, &wiring);
    let map = Map { entries, nics: &nics, outsides: &outsides };
    routes::give(reader, &mut builder, &map, &wiring);
    extras::guard(reader, &mut builder, &map, &wiring);
    extras::serve(reader, &mut builder, &map, &wiring, file);
    let hosts: Vec<&str> = entries
        .iter()
        .filter(|entry| matches!(entry.role, Role::Host))
        .map(|entry| entry.name.value.as_str())
        .collect();
    for (number, entry) in entries.iter().enumerate() {
        let node = NodeId(wiring.node_of(number) as u32);
        crate::publish::plan(reader, &mut builder, node, &entry.published, &hosts);
    }
    add_programs(reader, &mut builder, file);
    builder
}

fn add_nodes(builder: &mut WorldBuilder, entries: &[HostEntry], wiring: &Wiring) {
    for (node, name) in wiring.names.iter().enumerate() {
        if wiring.lan() == Some(node) {
            builder.lan(name);
        } else if wiring.is_hub(node) {
            builder.hub(name);
        } else if wiring.joins(node) {
            builder.switch(name);
        } else if let Some(entry) = entries.get(wiring.entry_of(node)) {
            let id = match &entry.role {
                Role::Host => builder.host(name),
                Role::Router(_) => builder.router(name),
                Role::Gateway(real) => {
                    let real = real.iter();
                    let names =
                        real.map(|(name, target)| GatewayName { name: name.clone(), target: target.clone() });
                    builder.gateway(name, names.collect())
                }
            };
            if entry.announce {
                builder.announce(id);
            }
        }
    }
}

fn add_links(
    reader: &mut Reader<'_>,
    builder: &mut WorldBuilder,
    file: &File,
    nics: &[Vec<Nic>],
    wiring: &Wiring,
) {
    let mut macs = Macs::default();
    let mut next_nic = vec![0; nics.len()];
    for (a, b, params, written) in &wiring.links {
        let [first, second] = [*a, *b].map(|node| {
            let id = NodeId(node as u32);
            if wiring.joins(node) {
                return End { node: id, mac: MacAddr::default(), addresses: Vec::new() };
            }
            let entry = wiring.entry_of(node);
            let nic = nics[entry].get(next_nic[entry]);
            next_nic[entry] += 1;
            let network = nic.map_or(0, |nic| nic.network);
            let addresses = nic.map(|nic| nic.addresses.clone()).unwrap_or_default();
            let mac = match nic.and_then(|nic| nic.mac) {
                Some(mac) => mac,
                None => macs.next(network, addresses.first().map(|cidr| cidr.address)),
            };
            End { node: id, mac, addresses }
        });
        let link: LinkId = builder.link(first, second, *params);
        let Some(entry) = written.and_then(|written| file.links.get(written)) else { continue };
        for (from, frame) in &entry.drops {
            match [*a, *b].into_iter().find(|node| wiring.names.get(*node) == Some(&from.value)) {
                Some(node) => builder.catch(link, NodeId(node as u32), *frame, Deed::Drop),
                None => {
                    let (one, other) = (entry.between[0].value.as_str(), entry.between[1].value.as_str());
                    let args = [("value", from.value.as_str()), ("one", one), ("other", other)];
                    let field = entry.path.replace("between", "drop");
                    reader.complain(from.line, &field, "lab-not-an-end", &args);
                }
            }
        }
    }
}

fn add_programs(reader: &mut Reader<'_>, builder: &mut WorldBuilder, file: &File) {
    let hosts = || file.nodes.iter().filter(|node| matches!(node.role, Role::Host));
    for entry in &file.programs {
        // Hosts come first: a host's place is its node.
        let Some(node) = hosts().position(|host| host.name.value == entry.host.value) else {
            let names = hosts().map(|host| host.name.value.as_str());
            let keys = ("lab-missing-host", "lab-missing-host-near");
            let field = format!("{}.host", entry.path);
            reader.complain_missing(entry.host.line, &field, keys, &entry.host.value, names);
            continue;
        };
        builder.program(Program {
            node: NodeId(node as u32),
            host: entry.host.value.clone(),
            file: entry.file.value.clone(),
            args: entry.args.clone(),
            start: entry.start,
            stdin: entry.stdin.clone(),
            forever: entry.forever,
        });
    }
}
