//! The table.

/// One line of it.
pub(crate) struct Row {
    cells: [String; 7],
}

impl Row {
    /// Ours, the peer's and the ceiling's, with the slowest hundredth where it is known.
    pub(crate) fn of(what: String, rates: [Vec<f64>; 3], slow: Option<[f64; 3]>) -> Self {
        let ratio = |other: usize| {
            let ratios = rates[0].iter().zip(&rates[other]).map(|(ours, theirs)| ours / theirs);
            format!("{:.2}", median(ratios))
        };
        let (of_peer, of_ceiling) = (ratio(1), ratio(2));
        let shown = |nth: usize| {
            let late = slow.map_or_else(String::new, |slow| format!(", p99 {:.2} ms", slow[nth] * 1e3));
            format!("{:.0} /s{late}", median(rates[nth].iter().copied()))
        };
        let cells = [what, shown(0), shown(1), shown(2), of_peer, of_ceiling, String::new()];
        Self { cells }
    }

    /// One figure beside the same without what it bears.
    pub(crate) fn beside(what: String, with: Vec<f64>, without: Vec<f64>, goal: Option<f64>) -> Self {
        let ratio = median(with.iter().zip(&without).map(|(with, without)| with / without));
        let ours = format!("{:.0} /s", median(with));
        let alone = format!("{:.0} /s alone", median(without));
        let reach = goal.map_or_else(String::new, |goal| verdict(ratio, goal, "of that alone"));
        Self { cells: [what, ours, alone, String::new(), format!("{ratio:.2}"), String::new(), reach] }
    }

    pub(crate) fn reach_peer(self, goal: f64) -> Self {
        self.reach(4, goal, "× UmaDB")
    }

    pub(crate) fn reach_ceiling(self, goal: f64) -> Self {
        self.reach(5, goal, "of the ceiling")
    }

    fn reach(mut self, cell: usize, goal: f64, of: &str) -> Self {
        self.cells[6] = verdict(self.cells[cell].parse().unwrap_or(0.0), goal, of);
        self
    }
}

fn verdict(ratio: f64, goal: f64, of: &str) -> String {
    let verdict = if ratio >= goal { "reached" } else { "MISSED" };
    format!("≥ {goal} {of}: {verdict}")
}

/// The middle one; 0 of none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The head of the table, for people and for the documentation.
pub(crate) fn head() -> String {
    let cells = ["What", "Ours", "UmaDB 0.7", "Nothing stored", "Ours / UmaDB", "Ours / nothing", "Reach"];
    format!("| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()))
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "| {} |", self.cells.join(" | "))
    }
}
