//! Where boxes, ports and frames lie in the map, in CSS pixels. Plain geometry.

use socketlab_view::NodeKind;
use socketlab_view::topology::{Place, Side};

/// Room at the edges of the map.
const MARGIN: f64 = 16.0;
/// Height of a line of ports inside a box.
pub const PORT_LINE: f64 = 19.0;
/// Height of a box's name and address.
pub const NAME_LINES: f64 = 42.0;

/// What a node needs room for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    /// What it is.
    pub kind: NodeKind,
    /// Lines of ports inside its box.
    pub lines: usize,
    /// Characters of its longest line.
    pub chars: usize,
    /// Nothing stands below its name.
    pub bare: bool,
    /// Drawn as a dot: a switch or router seen from a layer that it does not have.
    pub dot: bool,
}

/// A node's box.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// Its middle.
    pub fn middle(&self) -> (f64, f64) {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// Where a line towards a point leaves the box: in the middle of the edge that faces it.
    pub fn port_towards(&self, point: (f64, f64)) -> (f64, f64) {
        let (cx, cy) = self.middle();
        let (dx, dy) = (point.0 - cx, point.1 - cy);
        let beside = point.0 < self.x || point.0 > self.x + self.w;
        let over = point.1 < self.y || point.1 > self.y + self.h;
        if over && (!beside || dy.abs() > dx.abs()) {
            (cx, if dy > 0.0 { self.y + self.h } else { self.y })
        } else {
            (if dx > 0.0 { self.x + self.w } else { self.x }, cy)
        }
    }
}

/// Height of a box's name where there is no room for the address.
const NAME_LINE: f64 = 27.0;
/// The columns, from left to right.
const SIDES: [Side; 4] = [Side::Clients, Side::Middle, Side::Servers, Side::Gateways];
/// Least distance of two boxes of a column.
const GAP: f64 = 7.0;
/// Least distance of two columns, where there is room: a link that can be seen.
const LINK: f64 = 24.0;
/// Room for the cloud of a box that leads out of the lab.
const CLOUD: f64 = 26.0;

/// Is the map higher than wide, so that columns become rows?
fn is_upright((width, height): (f64, f64)) -> bool {
    height > width * 1.15
}

/// The boxes of all nodes in a map of this size. Boxes of one column do not overlap as long as there is room. On an
/// upright screen clients lie in a row above and servers in a row below.
pub fn boxes(places: &[Place], needs: &[Need], size: (f64, f64)) -> Vec<Rect> {
    let upright = is_upright(size);
    // Along: from clients to servers. Across: within a column.
    let (along, across) = if upright { (size.1, size.0) } else { size };
    let total = |side: Side, crowded: bool| -> f64 {
        let column = places.iter().zip(needs).filter(|(place, _)| place.side == side);
        column.map(|(_, need)| extent(need, crowded, upright).1 + GAP).sum()
    };
    let crowded = SIDES.into_iter().any(|side| total(side, false) > across);
    // The outermost columns go to the edges: links get all the room there is.
    let low = places.iter().map(|place| place.x).fold(f64::INFINITY, f64::min);
    let high = places.iter().map(|place| place.x).fold(f64::NEG_INFINITY, f64::max);
    let part = |x: f64| if high > low { (x - low) / (high - low) } else { 0.5 };
    // What is at one x, and how wide the widest of it.
    let mut columns: Vec<(f64, f64)> = Vec::new();
    for (place, need) in places.iter().zip(needs) {
        let w = extent(need, crowded, upright).0;
        match columns.iter_mut().find(|(x, _)| x.total_cmp(&place.x).is_eq()) {
            Some(column) => column.1 = column.1.max(w),
            None => columns.push((place.x, w)),
        }
    }
    let free = along - 2.0 * MARGIN - columns.iter().map(|(_, w)| w).sum::<f64>();
    let side_by_side = free >= LINK * columns.len().saturating_sub(1) as f64;
    let left_of = |x: f64, w: f64| {
        if !side_by_side {
            return part(x) * (along - 2.0 * MARGIN - w).max(0.0);
        }
        let before: f64 = columns.iter().filter(|(other, _)| *other < x).map(|(_, w)| w).sum();
        let own = columns.iter().find(|(other, _)| other.total_cmp(&x).is_eq()).map_or(w, |(_, w)| *w);
        before + part(x) * (free + own - w)
    };
    let mut rects: Vec<Rect> = places
        .iter()
        .zip(needs)
        .map(|(place, need)| {
            let (w, h) = extent(need, crowded, upright);
            let x = MARGIN + left_of(place.x, w);
            let y = MARGIN + place.y * (across - 2.0 * MARGIN) - h / 2.0;
            Rect { x, y: y.clamp(MARGIN / 2.0, (across - h - MARGIN / 2.0).max(MARGIN / 2.0)), w, h }
        })
        .collect();
    for side in SIDES {
        let mut column: Vec<usize> = (0..rects.len()).filter(|index| places[*index].side == side).collect();
        column.sort_by(|a, b| rects[*a].y.total_cmp(&rects[*b].y));
        spread(&mut rects, &column, across);
    }
    if upright {
        for rect in &mut rects {
            *rect = Rect { x: rect.y, y: rect.x, w: rect.h, h: rect.w };
        }
    }
    rects
}

/// Pushes the boxes of a column apart, then up again where they left the map.
fn spread(rects: &mut [Rect], column: &[usize], height: f64) {
    let overlap = |rects: &[Rect], a: usize, b: usize| {
        rects[a].x < rects[b].x + rects[b].w && rects[b].x < rects[a].x + rects[a].w
    };
    for (position, &index) in column.iter().enumerate() {
        let above = column[..position].iter().filter(|above| overlap(rects, **above, index));
        let least = above.map(|above| rects[*above].y + rects[*above].h + GAP).fold(0.0, f64::max);
        rects[index].y = rects[index].y.max(least);
    }
    for (position, &index) in column.iter().enumerate().rev() {
        let below = column[position + 1..].iter().filter(|below| overlap(rects, index, **below));
        let floor = below.map(|below| rects[*below].y).fold(height, f64::min) - GAP;
        rects[index].y = rects[index].y.min(floor - rects[index].h).max(GAP / 2.0);
    }
}

/// Length along and across of a node's box.
fn extent(need: &Need, crowded: bool, upright: bool) -> (f64, f64) {
    if need.dot {
        return (12.0, 12.0);
    }
    let cloud = if matches!(need.kind, NodeKind::Gateway | NodeKind::Lan) { CLOUD } else { 0.0 };
    let lines = need.lines as f64 * PORT_LINE;
    let ports = if need.lines > 0 { lines + 8.0 } else { 0.0 };
    if upright {
        let sign = if need.lines > 0 { 50.0 } else { 20.0 };
        let w = (need.chars as f64 * 6.6 + sign + cloud).clamp(64.0, 190.0);
        return (NAME_LINES + ports, w);
    }
    let sign = if need.lines > 0 { 44.0 } else { 34.0 };
    let w = (need.chars as f64 * 7.0 + sign + cloud).clamp(112.0, 200.0);
    let names = if (crowded || need.bare) && need.lines == 0 { NAME_LINE } else { NAME_LINES };
    (w, names + ports)
}

/// Height of a frame.
pub const FRAME: f64 = 34.0;

/// Moves frames that would cover an earlier one up or down, by whole heights, inside a map of this height and off the
/// nodes' boxes. Each is (middle, width). Answers which found room; the others stay where they are, to be drawn small.
pub fn apart(frames: &mut [((f64, f64), f64)], height: f64, boxes: &[Rect]) -> Vec<bool> {
    const STEP: f64 = FRAME + 4.0;
    let inside = (FRAME / 2.0 + 2.0, (height - FRAME / 2.0 - 2.0).max(FRAME / 2.0 + 2.0));
    let mut roomy: Vec<bool> = Vec::with_capacity(frames.len());
    for index in 0..frames.len() {
        let (before, rest) = frames.split_at_mut(index);
        let Some((middle, width)) = rest.first_mut() else { continue };
        middle.1 = middle.1.clamp(inside.0, inside.1);
        let (x, y) = *middle;
        let free = |y: f64| {
            before.iter().zip(&roomy).filter(|(_, large)| **large).all(
                |(((other_x, other_y), other_width), _)| {
                    (other_x - x).abs() >= (*width + other_width) / 2.0 + 3.0
                        || (other_y - y).abs() >= STEP - 1.0
                },
            )
        };
        // A frame may reach a little over the box at its own end of the link; one that was moved would hide its words.
        let clear = |y: f64| {
            boxes.iter().all(|card| {
                let (across, along) = ((card.middle().0 - x).abs(), (card.middle().1 - y).abs());
                across >= (*width + card.w) / 2.0 || along >= (FRAME + card.h) / 2.0
            })
        };
        // Down, up, further down, further up.
        let tries = [0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0];
        let found = tries
            .into_iter()
            .filter(|step| *step == 0.0 || clear(y + step * STEP))
            .map(|step| y + step * STEP)
            .find(|y| (inside.0..=inside.1).contains(y) && free(*y));
        roomy.push(found.is_some());
        if let Some(found) = found {
            middle.1 = found;
        }
    }
    roomy
}

/// Where a frame is on a link: the part `progress` of the way, on its own side of the line so that two directions do
/// not cover each other. `keep`: how far its middle stays from either end, in CSS pixels along the axis that the link
/// mostly follows.
pub fn on_link(from: (f64, f64), to: (f64, f64), progress: f64, keep: (f64, f64)) -> (f64, f64) {
    const SIDE: f64 = 9.0;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let slant = length / dx.abs().max(dy.abs()).max(1.0);
    let keep = (keep.0 * slant, keep.1 * slant);
    // On a short link the ends give way alike.
    let room = (length / (keep.0 + keep.1 + 1.0)).min(1.0);
    let (start, end) = (keep.0 * room, length - keep.1 * room);
    let along = (start + (end - start) * progress) / length;
    let (x, y) = (from.0 + dx * along, from.1 + dy * along);
    (x + dy / length * SIDE, y - dx / length * SIDE)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn host(lines: usize) -> Need {
        Need { kind: NodeKind::Host, lines, chars: 12, bare: false, dot: false }
    }

    fn place(x: f64, y: f64, side: Side) -> Place {
        Place { x, y, side }
    }

    #[test]
    fn boxes_stay_inside_the_map() {
        let places = [place(0.0, 0.0, Side::Clients), place(1.0, 1.0, Side::Servers)];
        for rect in boxes(&places, &[host(0), host(6)], (680.0, 260.0)) {
            assert!(rect.x >= 0.0 && rect.x + rect.w <= 680.0, "{rect:?}");
            assert!(rect.y >= 0.0 && rect.y + rect.h <= 260.0, "{rect:?}");
        }
    }

    #[test]
    fn columns_of_different_widths_do_not_touch() {
        let places = [
            place(0.1, 0.5, Side::Clients),
            place(0.4, 0.5, Side::Middle),
            place(0.7, 0.5, Side::Servers),
            place(0.9, 0.5, Side::Gateways),
        ];
        let server = Need { chars: 18, ..host(3) };
        let out = Need { kind: NodeKind::Lan, chars: 5, ..host(0) };
        let rects = boxes(&places, &[host(0), Need { dot: true, ..host(0) }, server, out], (594.0, 240.0));
        for pair in rects.windows(2) {
            assert!(pair[0].x + pair[0].w + LINK <= pair[1].x, "{rects:?}");
        }
    }

    #[test]
    fn on_a_phone_clients_lie_above_servers() {
        let mut places: Vec<Place> = (0..4).map(|i| place(0.1, f64::from(i) / 3.0, Side::Clients)).collect();
        places.push(place(0.9, 0.5, Side::Servers));
        let narrow = Need { chars: 9, ..host(0) };
        let rects = boxes(&places, &[narrow, narrow, narrow, narrow, host(5)], (390.0, 640.0));
        let (server, clients) = rects.split_last().expect("five boxes");
        for pair in clients.windows(2) {
            assert!(pair[0].x + pair[0].w <= pair[1].x, "{rects:?}");
        }
        assert!(clients.iter().all(|client| client.y + client.h < server.y), "{rects:?}");
    }

    #[test]
    fn boxes_of_a_column_do_not_overlap() {
        let places: Vec<Place> =
            (0..4).map(|i| place(0.0, 0.4 + f64::from(i) * 0.05, Side::Clients)).collect();
        let rects = boxes(&places, &[host(0); 4], (680.0, 260.0));
        for pair in rects.windows(2) {
            assert!(pair[0].y + pair[0].h <= pair[1].y, "{rects:?}");
        }
    }

    #[test]
    fn what_lies_side_by_side_keeps_its_height() {
        let places = [0.3, 0.5, 0.7].map(|x| place(x, 0.5, Side::Middle));
        let dot = Need { dot: true, ..host(0) };
        let rects = boxes(&places, &[dot; 3], (680.0, 260.0));
        assert!(rects.iter().all(|rect| (rect.middle().1 - 130.0).abs() < 1.0), "{rects:?}");
    }

    #[test]
    fn lines_leave_a_box_on_the_side_of_the_other_end() {
        let rect = Rect { x: 100.0, y: 100.0, w: 50.0, h: 40.0 };
        assert_eq!(rect.port_towards((400.0, 0.0)), (150.0, 120.0));
        assert_eq!(rect.port_towards((0.0, 0.0)), (100.0, 120.0));
        assert_eq!(rect.port_towards((120.0, 300.0)), (125.0, 140.0));
    }

    #[test]
    fn frames_at_the_same_place_are_stacked() {
        let mut frames = [((100.0, 100.0), 90.0), ((104.0, 100.0), 90.0), ((300.0, 100.0), 90.0)];
        apart(&mut frames, 300.0, &[]);
        assert_eq!(frames.map(|((_, y), _)| y), [100.0, 138.0, 100.0]);
    }

    #[test]
    fn frames_are_stacked_inside_the_map() {
        let mut frames = [((100.0, 90.0), 90.0), ((104.0, 90.0), 90.0)];
        apart(&mut frames, 110.0, &[]);
        assert_eq!(frames.map(|((_, y), _)| y), [90.0, 52.0]);
    }

    #[test]
    fn in_a_crowd_some_find_no_room() {
        let mut frames = [((100.0, 60.0), 90.0); 5];
        let roomy = apart(&mut frames, 120.0, &[]);
        assert_eq!(roomy.iter().filter(|large| **large).count(), 3, "{frames:?}");
        assert_eq!(frames[4].0, (100.0, 60.0), "the last stays on its link");
    }

    #[test]
    fn frames_are_not_moved_onto_a_box() {
        let mut frames = [((100.0, 100.0), 90.0); 3];
        let below = Rect { x: 60.0, y: 120.0, w: 80.0, h: 100.0 };
        let roomy = apart(&mut frames, 300.0, &[below]);
        assert_eq!(roomy, [true; 3]);
        assert_eq!(frames.map(|((_, y), _)| y), [100.0, 62.0, 24.0]);
    }

    #[test]
    fn two_directions_do_not_cover_each_other() {
        let (a, b) = ((0.0, 0.0), (100.0, 0.0));
        assert_ne!(on_link(a, b, 0.5, (0.0, 0.0)), on_link(b, a, 0.5, (0.0, 0.0)));
    }

    #[test]
    fn a_frame_on_a_slanting_link_keeps_as_far_off() {
        let (x, _) = on_link((0.0, 0.0), (200.0, 150.0), 0.0, (60.0, 0.0));
        assert!((60.0..70.0).contains(&x), "{x}");
    }

    #[test]
    fn a_frame_keeps_off_the_boxes_at_its_ends() {
        let (a, b) = ((0.0, 0.0), (300.0, 0.0));
        assert_eq!(on_link(a, b, 0.0, (60.0, 20.0)).0, 60.0);
        assert_eq!(on_link(a, b, 1.0, (60.0, 20.0)).0, 280.0);
        let short = on_link(a, (50.0, 0.0), 1.0, (60.0, 60.0));
        assert!((20.0..30.0).contains(&short.0), "{short:?}");
    }
}
