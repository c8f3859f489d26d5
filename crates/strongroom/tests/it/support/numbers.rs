//! A page of metrics, read strictly.

use std::collections::BTreeMap;

/// Every series with its value.
#[derive(Debug)]
pub(crate) struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    /// Fails where a line is not of the format, or the end is missing.
    pub(crate) fn read(text: &str) -> Self {
        let mut numbers = BTreeMap::new();
        let body = text.strip_suffix("# EOF\n").expect("the page ends with its mark");
        for line in body.lines().filter(|line| !line.starts_with("# ")) {
            let (series, value) = line.rsplit_once(' ').expect(line);
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(numbers.insert(series.to_owned(), value), None, "twice: {line}");
        }
        Self(numbers)
    }

    /// The value of a series; zero before anything was counted.
    pub(crate) fn of(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    pub(crate) fn has(&self, series: &str) -> bool {
        self.0.contains_key(series)
    }

    /// Every label there is, with its value.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let inside = self.0.keys().filter_map(|series| series.strip_suffix('}')?.split_once('{'));
        inside.flat_map(|(_, labels)| {
            labels
                .trim_end_matches('"')
                .split("\",")
                .map(|label| label.split_once("=\"").expect("a label has a value in quotes"))
        })
    }
}
