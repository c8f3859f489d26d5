//! "Did you mean": the known word with the fewest typing mistakes.

/// The nearest of the known words, unless it is too far off to be what was meant.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > WORD_SIZE_MAX {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, MISTAKES_MAX);
    known
        .map(|candidate| (mistakes(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(count, _)| *count <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete, replace or swap with the next one (optimal string alignment, the
/// restricted form of Damerau's distance).
fn mistakes(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_left = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_right = None;
        for (column, other) in right.iter().copied().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(letter != other);
            let added = at(&last, column + 1).min(at(&current, column)) + 1;
            let swapped = previous_left == Some(other) && previous_right == Some(letter);
            let swapped = match column.checked_sub(1) {
                Some(column) if swapped => at(&before_last, column) + 1,
                _ => usize::MAX,
            };
            current.push(replaced.min(added).min(swapped));
            previous_right = Some(other);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_left = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

/// Names have at most 40 letters, time zones fewer.
const WORD_SIZE_MAX: usize = 60;

/// More than three mistakes is another word.
const MISTAKES_MAX: usize = 3;
