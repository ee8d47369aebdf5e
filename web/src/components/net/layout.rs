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

    /// Where a line towards a point leaves the box: on the left or right edge, or above or below when the point lies
    /// over or under the box.
    pub fn port_towards(&self, point: (f64, f64)) -> (f64, f64) {
        let (cx, cy) = self.middle();
        if point.0 > self.x + self.w {
            (self.x + self.w, cy)
        } else if point.0 < self.x {
            (self.x, cy)
        } else if point.1 > cy {
            (cx, self.y + self.h)
        } else {
            (cx, self.y)
        }
    }
}

/// The boxes of all nodes in a map of this size. Boxes of one column do not overlap as long as there is room.
pub fn boxes(places: &[Place], needs: &[Need], size: (f64, f64)) -> Vec<Rect> {
    let (width, height) = size;
    let mut rects: Vec<Rect> = places
        .iter()
        .zip(needs)
        .map(|(place, need)| {
            let (w, h) = extent(need);
            // The middle of a node lies between the margins, so that 0 and 1 put its box at the edge.
            let x = MARGIN + place.x * (width - 2.0 * MARGIN - w).max(0.0);
            let y = MARGIN + place.y * (height - 2.0 * MARGIN) - h / 2.0;
            Rect { x, y: y.clamp(MARGIN / 2.0, (height - h - MARGIN / 2.0).max(MARGIN / 2.0)), w, h }
        })
        .collect();
    for side in [Side::Clients, Side::Middle, Side::Servers, Side::Gateways] {
        let mut column: Vec<usize> = (0..rects.len()).filter(|index| places[*index].side == side).collect();
        column.sort_by(|a, b| rects[*a].y.total_cmp(&rects[*b].y));
        spread(&mut rects, &column, height);
    }
    rects
}

/// Pushes the boxes of a column apart, then up again where they left the map.
fn spread(rects: &mut [Rect], column: &[usize], height: f64) {
    const GAP: f64 = 8.0;
    let overlap = |rects: &[Rect], a: usize, b: usize| {
        rects[a].x < rects[b].x + rects[b].w && rects[b].x < rects[a].x + rects[a].w
    };
    for pair in column.windows(2) {
        let (above, below) = (pair[0], pair[1]);
        if overlap(rects, above, below) {
            let least = rects[above].y + rects[above].h + GAP;
            rects[below].y = rects[below].y.max(least);
        }
    }
    let mut floor = height - GAP;
    for index in column.iter().rev() {
        let most = floor - rects[*index].h;
        rects[*index].y = rects[*index].y.min(most).max(GAP / 2.0);
        floor = rects[*index].y - GAP;
    }
}

fn extent(need: &Need) -> (f64, f64) {
    if need.dot {
        return (12.0, 12.0);
    }
    let w = (need.chars as f64 * 7.0 + 34.0).clamp(112.0, 190.0);
    let lines = need.lines as f64 * PORT_LINE;
    (w, NAME_LINES + if need.lines > 0 { lines + 8.0 } else { 0.0 })
}

/// Where a frame is on a link: the part `progress` of the way, on its own side of the line so that two directions do
/// not cover each other.
pub fn on_link(from: (f64, f64), to: (f64, f64), progress: f64) -> (f64, f64) {
    const SIDE: f64 = 9.0;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (x, y) = (from.0 + dx * progress, from.1 + dy * progress);
    (x + dy / length * SIDE, y - dx / length * SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(lines: usize) -> Need {
        Need { kind: NodeKind::Host, lines, chars: 12, dot: false }
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
    fn boxes_of_a_column_do_not_overlap() {
        let places: Vec<Place> =
            (0..4).map(|i| place(0.0, 0.4 + f64::from(i) * 0.05, Side::Clients)).collect();
        let rects = boxes(&places, &[host(0); 4], (680.0, 260.0));
        for pair in rects.windows(2) {
            assert!(pair[0].y + pair[0].h <= pair[1].y, "{rects:?}");
        }
    }

    #[test]
    fn lines_leave_a_box_on_the_side_of_the_other_end() {
        let rect = Rect { x: 100.0, y: 100.0, w: 50.0, h: 40.0 };
        assert_eq!(rect.port_towards((400.0, 0.0)), (150.0, 120.0));
        assert_eq!(rect.port_towards((0.0, 0.0)), (100.0, 120.0));
        assert_eq!(rect.port_towards((120.0, 300.0)), (125.0, 140.0));
    }

    #[test]
    fn two_directions_do_not_cover_each_other() {
        let (a, b) = ((0.0, 0.0), (100.0, 0.0));
        assert_ne!(on_link(a, b, 0.5), on_link(b, a, 0.5));
    }
}
