//! Welch's t-test over the times of two classes.

use serde::Serialize;

/// What the times said.
#[derive(Serialize)]
pub(super) struct Verdict {
    /// The largest |t| over the whole and the cropped times.
    pub(super) t: f64,
    pub(super) samples: usize,
    pub(super) medians_ns: [f64; 2],
    pub(super) told_apart: bool,
}

/// One time and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) is_second: bool,
    pub(super) ns: f64,
}

/// Long times are interrupts and neighbours, so each crop leaves out more of them; a difference that
/// only shows without them still counts.
pub(super) fn judge(samples: &[Sample]) -> Verdict {
    let mut sorted: Vec<f64> = samples.iter().map(|sample| sample.ns).collect();
    sorted.sort_by(f64::total_cmp);
    let t = CROPS.iter().map(|crop| t_below(samples, quantile(&sorted, *crop))).fold(0.0, f64::max);
    let median = |is_second: bool| {
        let of_class = samples.iter().filter(|sample| sample.is_second == is_second);
        let mut times: Vec<f64> = of_class.map(|sample| sample.ns).collect();
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5)
    };
    let medians_ns = [median(false), median(true)];
    Verdict { t, samples: samples.len(), medians_ns, told_apart: t >= T_LIMIT }
}

fn t_below(samples: &[Sample], limit: f64) -> f64 {
    let mut classes = [Moments::default(), Moments::default()];
    for sample in samples.iter().filter(|sample| sample.ns <= limit) {
        let [first, second] = &mut classes;
        if sample.is_second { second } else { first }.push(sample.ns);
    }
    let [first, second] = classes;
    if first.count.min(second.count) < COUNT_MIN {
        return 0.0;
    }
    let error = (first.variance_of_mean() + second.variance_of_mean()).sqrt();
    let apart = (first.mean - second.mean).abs();
    if error > 0.0 {
        apart / error
    } else if apart > 0.0 {
        f64::MAX
    } else {
        0.0
    }
}

/// Count, mean and sum of squared distances, in one pass (Welford).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn variance_of_mean(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * part) as usize).copied().unwrap_or(0.0)
}

/// The paper calls 4.5 suspicious and 10 certain; a machine with neighbours reaches the first by itself.
pub(super) const T_LIMIT: f64 = 10.0;

const CROPS: [f64; 7] = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25];

/// Fewer of a class say nothing.
const COUNT_MIN: f64 = 500.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Times around 100 with a long tail; those of the second class `later` later.
    fn samples(later: f64) -> Vec<Sample> {
        let sample = |number: u32| {
            let noise = f64::from(number.wrapping_mul(2_654_435_761) >> 16) / 6_554.0;
            let tail = if number.is_multiple_of(97) { 100_000.0 } else { 0.0 };
            let is_second = number.wrapping_mul(40_503) >> 8 & 1 == 1;
            let ns = 100.0 + noise + tail + if is_second { later } else { 0.0 };
            Sample { is_second, ns }
        };
        (0..40_000).map(sample).collect()
    }

    #[test]
    fn a_small_difference_is_found_below_a_long_tail() {
        assert!(judge(&samples(1.0)).told_apart);
        let same = judge(&samples(0.0));
        assert!(!same.told_apart, "{}", same.t);
    }
}
