//! Where the nodes of the map lie: clients left, servers right, and between them switches and routers in the order in
//! which packets meet them.

use serde::{Deserialize, Serialize};

use crate::event::{NodeKind, ProgramInfo, TopologyView};

/// Where a node lies, in parts (0..1) of width and height, y downward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Part of the width.
    pub x: f64,
    /// Part of the height.
    pub y: f64,
    /// Which column it is in.
    pub side: Side,
}

/// The columns of the map, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Side {
    Clients,
    Middle,
    Servers,
    Gateways,
}

/// Most hosts in one column of clients; more stand in two.
const COLUMN: usize = 6;

/// Part of the width that switches and routers have, from the first to the last.
const MIDDLE: f64 = 0.3;

/// Least distance of two switches or routers above each other, in parts of the height.
const APART: f64 = 0.2;

/// Where each node lies, by its index: clients left, switches and routers in the middle, servers right, gateways at
/// the right edge. Of the nodes in the middle those that are nearer to the clients lie further left, and each at the
/// height of what it connects. Deterministic.
pub fn layout(topology: &TopologyView, programs: &[ProgramInfo]) -> Vec<Place> {
    let sides = sides(topology, programs);
    let count = |side: Side| sides.iter().filter(|s| **s == side).count();
    let (servers, gateways) = (count(Side::Servers), count(Side::Gateways));
    let x_of = |side: Side| match side {
        Side::Clients => 0.13,
        Side::Middle if servers > 0 && gateways > 0 => 0.42,
        Side::Middle => 0.5,
        Side::Servers if gateways > 0 => 0.68,
        Side::Servers => 0.87,
        Side::Gateways => 0.9,
    };
    let mut seen = [0usize; 4];
    let mut places = Vec::with_capacity(sides.len());
    for side in &sides {
        let n = count(*side);
        let i = seen[*side as usize];
        seen[*side as usize] += 1;
        let (x, y) = match side {
            Side::Middle => (x_of(*side), 0.5),
            // Servers above, gateways below: a link to a gateway does not seem to lead through a server.
            Side::Servers => (x_of(*side), even(i, servers + gateways)),
            Side::Gateways => (x_of(*side), even(servers + i, servers + gateways)),
            Side::Clients if n > COLUMN => {
                let shift = if i.is_multiple_of(2) { -0.05 } else { 0.13 };
                (x_of(*side) + shift, even(i / 2, n.div_ceil(2)))
            }
            _ => (x_of(*side), even(i, n)),
        };
        places.push(Place { x, y, side: *side });
    }
    order_middle(topology, &mut places);
    places
}

/// The middle of part `i` of `n`.
fn even(i: usize, n: usize) -> f64 {
    (i as f64 + 0.5) / n as f64
}

/// Gives the nodes in the middle their places.
fn order_middle(topology: &TopologyView, places: &mut [Place]) {
    let middle: Vec<usize> = (0..places.len()).filter(|i| places[*i].side == Side::Middle).collect();
    let neighbours: Vec<Vec<usize>> = (0..places.len()).map(|node| neighbours(topology, node)).collect();
    let from_clients = hops(&neighbours, places, |side| side == Side::Clients);
    let from_servers = hops(&neighbours, places, |side| matches!(side, Side::Servers | Side::Gateways));
    // What neither side reaches, or only one, is as near to both.
    let lean = |node: usize| match (from_clients[node], from_servers[node]) {
        (Some(left), Some(right)) => left as i64 - right as i64,
        _ => 0,
    };
    let mut columns: Vec<i64> = middle.iter().map(|node| lean(*node)).collect();
    columns.sort_unstable();
    columns.dedup();
    // The height of what each connects; hosts say it at once, others pass it on.
    for _ in &middle {
        let heights: Vec<f64> = places.iter().map(|place| place.y).collect();
        for &node in &middle {
            let is_middle = |other: &usize| places[*other].side == Side::Middle;
            let (inner, hosts): (Vec<usize>, Vec<usize>) =
                neighbours[node].iter().copied().partition(is_middle);
            let beside = if hosts.is_empty() { inner } else { hosts };
            let beside: Vec<f64> = beside.into_iter().map(|other| heights[other]).collect();
            if !beside.is_empty() {
                places[node].y = beside.iter().sum::<f64>() / beside.len() as f64;
            }
        }
    }
    for (column, of_column) in columns.iter().enumerate() {
        let mut nodes: Vec<usize> = middle.iter().copied().filter(|node| lean(*node) == *of_column).collect();
        nodes.sort_by(|a, b| places[*a].y.total_cmp(&places[*b].y));
        let roomy = nodes.windows(2).all(|pair| places[pair[1]].y - places[pair[0]].y >= APART);
        let alone = columns.len() == 1 && nodes.len() == 1;
        for (rank, node) in nodes.iter().enumerate() {
            places[*node].x += MIDDLE * (even(column, columns.len()) - 0.5);
            if alone || !roomy {
                places[*node].y = even(rank, nodes.len());
            }
        }
    }
}

fn neighbours(topology: &TopologyView, node: usize) -> Vec<usize> {
    let ends = topology.links.iter().map(|link| (link.ends.0 as usize, link.ends.1 as usize));
    let known = |other: &usize| *other < topology.nodes.len();
    ends.filter_map(|(a, b)| (a == node).then_some(b).or((b == node).then_some(a))).filter(known).collect()
}

/// How many links each node is away from the nearest node of some columns, without a way through other hosts.
fn hops(neighbours: &[Vec<usize>], places: &[Place], from: impl Fn(Side) -> bool) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = places.iter().map(|place| from(place.side).then_some(0)).collect();
    let mut edge: Vec<usize> = (0..places.len()).filter(|node| found[*node].is_some()).collect();
    for distance in 1.. {
        let mut next = Vec::new();
        for node in edge {
            for &other in &neighbours[node] {
                if found[other].is_none() && places[other].side == Side::Middle {
                    found[other] = Some(distance);
                    next.push(other);
                }
            }
        }
        if next.is_empty() {
            break;
        }
        edge = next;
    }
    found
}

/// A host is a server if it runs a program that is stopped at the end, or is called one.
fn sides(topology: &TopologyView, programs: &[ProgramInfo]) -> Vec<Side> {
    let serves = |text: &str| text.to_lowercase().contains("server");
    let mut sides: Vec<Side> = (0u32..)
        .zip(&topology.nodes)
        .map(|(index, node)| match node.kind {
            NodeKind::Switch | NodeKind::Hub | NodeKind::Router => Side::Middle,
            NodeKind::Gateway | NodeKind::Lan => Side::Gateways,
            NodeKind::Host => {
                let mut own = programs.iter().filter(|p| p.node == index);
                if serves(&node.name) || own.any(|p| p.forever || serves(&p.file)) {
                    Side::Servers
                } else {
                    Side::Clients
                }
            }
        })
        .collect();
    let hosts: Vec<usize> = (0..sides.len()).filter(|i| topology.nodes[*i].kind == NodeKind::Host).collect();
    let (first, last) = (hosts.first().copied(), hosts.last().copied());
    let has = |sides: &[Side], side| sides.contains(&side);
    if hosts.len() > 1 && !has(&sides, Side::Clients) {
        // All serve: the first stands opposite the others.
        if let Some(first) = first {
            sides[first] = Side::Clients;
        }
    } else if hosts.len() > 1
        && !has(&sides, Side::Servers)
        && !has(&sides, Side::Gateways)
        && let Some(last) = last
    {
        sides[last] = Side::Servers;
    }
    sides
}
