//! Small summaries that the other files share: medians, ranks, quantiles, sums.

/// Steps and values of a series where it was measured (not NaN), the steps as f64.
pub fn measured(steps: &[u64], values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    steps
        .iter()
        .zip(values)
        .filter(|(_, value)| !value.is_nan())
        .map(|(step, value)| (*step as f64, *value))
        .unzip()
}

/// Mean; NaN of nothing. Summed about the first value, so that a constant is its own mean to the bit and is known for one
/// wherever a series less its mean is judged.
pub fn mean(values: &[f64]) -> f64 {
    let Some(first) = values.first() else {
        return f64::NAN;
    };
    first + values.iter().map(|x| x - first).sum::<f64>() / values.len() as f64
}

/// Variance over n - 1; NaN of fewer than two.
pub fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let mean = mean(values);
    values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

/// The middle value, or the mean of the two middle ones; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    middle(&sorted(values))
}

/// Median absolute deviation from the median, without the factor 1.4826 that makes it a standard deviation.
pub fn mad(values: &[f64]) -> f64 {
    let centre = median(values);
    let distances: Vec<f64> = values.iter().map(|x| (x - centre).abs()).collect();
    median(&distances)
}

/// Quantile q in [0, 1], linear between order statistics (type 7 of Hyndman and Fan); NaN of nothing.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let sorted = sorted(values);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// Ranks from 1; equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut begin = 0;
    while begin < order.len() {
        let mut end = begin + 1;
        while end < order.len() && values[order[end]] == values[order[begin]] {
            end += 1;
        }
        for &place in &order[begin..end] {
            ranks[place] = (begin + 1 + end) as f64 / 2.0;
        }
        begin = end;
    }
    ranks
}

/// Median of the values at times within `width / 2` of each time (both ends included); times increase. Windows shrink
/// at the ends of the series.
///
/// # Panics
/// If times and values differ in number.
#[track_caller]
pub fn running_median(times: &[f64], values: &[f64], width: f64) -> Vec<f64> {
    assert_eq!(times.len(), values.len(), "as many times as values");
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut rank = vec![0; values.len()];
    for (place, &index) in order.iter().enumerate() {
        rank[index] = place;
    }
    let mut window = Window::new(values.len());
    let (mut begin, mut end) = (0, 0);
    times
        .iter()
        .map(|&now| {
            while end < times.len() && times[end] - now <= width / 2.0 {
                window.add(rank[end], 1);
                end += 1;
            }
            while now - times[begin] > width / 2.0 {
                window.add(rank[begin], -1);
                begin += 1;
            }
            let count = end - begin;
            let value = |k: usize| values[order[window.kth(k)]];
            if count % 2 == 1 {
                value(count / 2)
            } else {
                f64::midpoint(value(count / 2 - 1), value(count / 2))
            }
        })
        .collect()
}

/// The ranks of the values in a window, as a Fenwick tree of counts: adding, removing and finding the k-th take
/// log n steps, so that wide windows cost no more than narrow ones.
struct Window {
    counts: Vec<i32>,
    /// Largest power of two up to the number of ranks.
    top: usize,
}

impl Window {
    fn new(ranks: usize) -> Self {
        Self {
            counts: vec![0; ranks + 1],
            top: if ranks == 0 { 0 } else { 1 << ranks.ilog2() },
        }
    }

    fn add(&mut self, rank: usize, by: i32) {
        let mut place = rank + 1;
        while place < self.counts.len() {
            self.counts[place] += by;
            place += place & place.wrapping_neg();
        }
    }

    /// The rank of which exactly k others in the window are smaller.
    fn kth(&self, k: usize) -> usize {
        let (mut place, mut left, mut jump) = (0, k as i32, self.top);
        while jump > 0 {
            if place + jump < self.counts.len() && self.counts[place + jump] <= left {
                place += jump;
                left -= self.counts[place];
            }
            jump /= 2;
        }
        place
    }
}

/// Values less their running median.
pub fn detrended(times: &[f64], values: &[f64], width: f64) -> Vec<f64> {
    let trend = running_median(times, values, width);
    values.iter().zip(&trend).map(|(x, m)| x - m).collect()
}

/// Values at `first`, `first + step`, … up to the last time, linear between the neighbours.
pub fn resampled(times: &[f64], values: &[f64], step: f64) -> Vec<f64> {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return Vec::new();
    };
    let count = ((last - first) / step * (1.0 + 1e-12)).floor() as usize + 1;
    let mut right = 1;
    (0..count)
        .map(|k| {
            let now = first + k as f64 * step;
            while right + 1 < times.len() && times[right] < now {
                right += 1;
            }
            if times.len() == 1 {
                return values[0];
            }
            let (t0, t1) = (times[right - 1], times[right]);
            values[right - 1] + (now - t0) / (t1 - t0) * (values[right] - values[right - 1])
        })
        .collect()
}

/// The common distance of the times, if there is one (to 1e-9 of it).
pub fn even_step(times: &[f64]) -> Option<f64> {
    let (&first, &last) = (times.first()?, times.last()?);
    if times.len() < 2 {
        return None;
    }
    let step = (last - first) / (times.len() - 1) as f64;
    let even = times
        .iter()
        .enumerate()
        .all(|(k, t)| (t - first - k as f64 * step).abs() <= 1e-9 * step.abs());
    (step > 0.0 && even).then_some(step)
}

/// Median distance between neighbouring times.
pub fn median_step(times: &[f64]) -> f64 {
    let steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    median(&steps)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
