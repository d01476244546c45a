//! The known name that is nearest to an unknown one.

/// Longest name that is compared.
const LONGEST: usize = 64;

/// The known name with the fewest changes, if they are few enough to be a slip.
pub(crate) fn nearest<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> Option<S> {
    let lowered: String = name.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let allowed = (lowered.chars().count() / 3).max(1);
    let distance = |known: &S| changes(&lowered, &known.as_ref().to_lowercase());
    let best =
        known.into_iter().map(|known| (distance(&known), known)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= allowed).then_some(best.1)
}

/// Insertions, deletions and replacements that lead from one text to the other.
fn changes(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, left) in (1..).zip(from.chars()) {
        let mut diagonal = done - 1;
        let mut before = done;
        for (cell, right) in row.iter_mut().skip(1).zip(&to) {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = done;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_one_by_one() {
        assert_eq!(changes("kitten", "sitting"), 3);
        assert_eq!((changes("", "abc"), changes("abc", ""), changes("abc", "abc")), (3, 3, 0));
    }

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let known = ["span.blocks", "span.gas", "l1-rpc"];
        assert_eq!(nearest("span.block", known), Some("span.blocks"));
        assert_eq!(nearest("L1-PRC", known), Some("l1-rpc"));
        assert_eq!(nearest("hunter2hunter2", known), None);
    }
}
