//! Autocorrelation, power, red noise, coherence and waveform.

use std::f64::consts::TAU;

use gmatrix::analysis::autocorrelation::{autocorrelation, peak};
use gmatrix::analysis::coherence::coherence;
use gmatrix::analysis::draws::Draws;
use gmatrix::analysis::red_noise::RedNoise;
use gmatrix::analysis::series::{mean, variance};
use gmatrix::analysis::spectrum::Spectrum;
use gmatrix::analysis::waveform::{Harmonics, Waveform};

use crate::{all_close, close, normals, reference};

fn even(n: usize) -> Vec<f64> {
    (0..n).map(|k| k as f64).collect()
}

/// `t=cumsum(1+(arange(40)*7%5)/2); v=sin(2*pi*t/11)+0.3*cos(t)`
fn gappy() -> (Vec<f64>, Vec<f64>) {
    let mut now = 0.0;
    let times: Vec<f64> = (0..40)
        .map(|k| {
            now += 1.0 + (k * 7 % 5) as f64 / 2.0;
            now
        })
        .collect();
    let values = times.iter().map(|t| (TAU * t / 11.0).sin() + 0.3 * t.cos()).collect();
    (times, values)
}

#[test]
fn autocorrelation_matches_its_definition() {
    let [x, ..] = reference();
    // xc=x-mean(x); [sum(xc[:20-k]*xc[k:])/sum(xc*xc) for k in range(5)]
    let expected = [
        1.0,
        -0.08935640829275357,
        -0.47494776416222007,
        -0.26172489113006897,
        0.3182245638836938,
    ];
    all_close(&autocorrelation(&x, 4), &expected, 1e-13);
    assert_eq!(autocorrelation(&x, 100).len(), 20);
    assert!(autocorrelation(&[], 3).is_empty());
    assert!(autocorrelation(&[0.1; 10], 3).iter().all(|r| r.is_nan()));
}

#[test]
fn the_peak_of_the_autocorrelation_is_the_period() {
    let x: Vec<f64> = even(400).iter().map(|t| (TAU * t / 25.0).sin()).collect();
    let r = autocorrelation(&x, 100);
    let (lag, value) = peak(&r, 10, 40).unwrap();
    assert_eq!(lag, 25);
    assert!(value > 0.9);
    assert_eq!(peak(&r, 30, 45), None);
    assert_eq!(peak(&[1.0], 1, 5), None);
}

#[test]
fn lomb_and_scargle_match_scipy() {
    let (times, values) = gappy();
    // scipy.signal.lombscargle(t,v-v.mean(),2*pi*array([.03,.07,1/11,.13,.2]),normalize=True)
    let spectrum = Spectrum::lomb(&times, &[0.03, 0.07, 1.0 / 11.0, 0.13, 0.2]);
    let expected = [
        0.003110397595559998,
        0.02143495200902372,
        0.914927181980344,
        0.004023084344869565,
        0.028502773076117514,
    ];
    all_close(&spectrum.power(&values), &expected, 1e-12);
    assert!(format!("{spectrum:?}").contains("lomb, 5 frequencies"));
    assert_eq!(spectrum.power(&[0.1; 40]), [0.0; 5]);
}

#[test]
fn the_fft_gives_the_power_of_lomb_and_scargle() {
    let times: Vec<f64> = even(101).iter().map(|t| 7.0 + 3.0 * t).collect();
    let values: Vec<f64> = normals(9, 101);
    let fast = Spectrum::new(&times, 12.0, 60.0);
    assert!(format!("{fast:?}").contains("fft"));
    let frequencies = fast.frequencies().to_vec();
    assert!(frequencies[0] >= 1.0 / 60.0 && frequencies[frequencies.len() - 1] <= 1.0 / 12.0 + 1e-12);
    let slow = Spectrum::lomb(&times, &frequencies);
    // Sine and cosine are orthogonal to some 1/(n sin(omega step)) only.
    all_close(&fast.power(&values), &slow.power(&values), 5e-3);
    // On the grid of 1/(n step) they are wholly.
    let harmonics: Vec<f64> = frequencies
        .iter()
        .copied()
        .filter(|f| (f * 303.0).fract().min(1.0 - (f * 303.0).fract()) < 1e-9)
        .collect();
    assert!(harmonics.len() > 10);
    let slow = Spectrum::lomb(&times, &harmonics).power(&values);
    let all = fast.power(&values);
    for (f, power) in harmonics.iter().zip(slow) {
        let place = frequencies.iter().position(|g| g == f).unwrap();
        close(all[place], power, 1e-12);
    }
    assert_eq!(fast.power(&[0.1; 101]), vec![0.0; frequencies.len()]);
}

#[test]
fn uneven_times_get_lomb_and_scargle() {
    let (times, values) = gappy();
    let spectrum = Spectrum::new(&times, 8.0, 20.0);
    assert!(format!("{spectrum:?}").contains("lomb"));
    let power = spectrum.power(&values);
    let best = (0..power.len()).max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap();
    close(1.0 / spectrum.frequencies()[best], 11.0, 0.05);
}

#[test]
fn the_fit_of_red_noise_is_the_most_likely() {
    let (times, values) = gappy();
    // scipy.optimize.minimize_scalar of n log(sum(e^2/s)/n) + sum(log s), e = x[1:]-a*x[:-1], s = 1-a*a, a = exp(-gap/tau)
    let found = RedNoise::fit(&times, &values);
    close(found.tau, 1.97845498, 1e-5);
    close(found.sd, 0.71238520, 1e-6);
}

#[test]
fn red_noise_is_found_again() {
    // Even times, and the same with two thirds of them missing at random.
    for keep in [1.0, 0.33] {
        let taus: Vec<f64> = (0..40)
            .map(|seed| {
                let mut draws = Draws::new(2, seed);
                let times: Vec<f64> = even(1500).into_iter().filter(|_| draws.uniform() < keep).collect();
                let series = RedNoise { tau: 12.0, sd: 3.0 }.draw(&times, &mut draws);
                let found = RedNoise::fit(&times, &series);
                // sd has some sqrt(tau/n) relative error.
                assert!((found.sd / 3.0 - 1.0).abs() < 0.4, "{found:?}");
                found.tau
            })
            .collect();
        // One tau has some sqrt(2 tau/n) = 0.13 relative error, and the mean of the series costs 4 tau/n more.
        close(mean(&taus) / 12.0, 1.0, 0.1);
    }
}

#[test]
fn the_spectrum_of_red_noise_is_that_of_its_draws() {
    let noise = RedNoise { tau: 8.0, sd: 2.0 };
    let times = even(256);
    let spectrum = Spectrum::new(&times, 4.0, 64.0);
    let frequencies = spectrum.frequencies();
    let mut ratios = vec![0.0; frequencies.len()];
    let trials = 400;
    for seed in 0..trials {
        let series = noise.draw(&times, &mut Draws::new(3, seed));
        let spread: f64 = {
            let centre = mean(&series);
            series.iter().map(|x| (x - centre).powi(2)).sum()
        };
        for (ratio, power) in ratios.iter_mut().zip(spectrum.power(&series)) {
            // Power is a share of this series' sum of squares; noise.spectrum is relative to the true variance.
            *ratio += power * spread / (2.0 * 4.0) / f64::from(trials);
        }
    }
    for (ratio, f) in ratios.iter().zip(frequencies) {
        let expected = noise.spectrum(*f, 1.0);
        // Exponential: relative error 0.05 of 400 draws; leakage adds some per cent.
        assert!((ratio / expected - 1.0).abs() < 0.25, "{f}: {ratio} for {expected}");
    }
    // Its mean over all frequencies is that of white noise.
    let mut whole = 0.0;
    for k in 0..1000 {
        whole += noise.spectrum((k as f64 + 0.5) / 2000.0, 1.0) / 1000.0;
    }
    close(whole, 1.0, 1e-9);
    assert_eq!(RedNoise { tau: 0.0, sd: 1.0 }.spectrum(0.2, 1.0), 1.0);
}

#[test]
fn red_noise_of_little_or_nothing() {
    assert_eq!(RedNoise::fit(&even(10), &[0.1; 10]).sd, 0.0);
    assert_eq!(RedNoise::fit(&[1.0], &[2.0]), RedNoise { tau: 0.0, sd: 0.0 });
    let white = RedNoise { tau: 0.0, sd: 2.0 }.draw(&even(4000), &mut Draws::new(1, 1));
    close(variance(&white), 4.0, 0.1);
    assert!(autocorrelation(&white, 1)[1].abs() < 0.06);
}

#[test]
fn coherence_matches_welch_of_scipy() {
    // k=arange(96); x=sin(2*pi*k/8)+(k*7%11)/5; y=sin(2*pi*(k-1.5)/8)+(k*k*3%13)/6
    let x: Vec<f64> = (0..96)
        .map(|k| (TAU * k as f64 / 8.0).sin() + (k * 7 % 11) as f64 / 5.0)
        .collect();
    let y: Vec<f64> = (0..96)
        .map(|k| (TAU * (k as f64 - 1.5) / 8.0).sin() + (k * k * 3 % 13) as f64 / 6.0)
        .collect();
    // kw=dict(window='hann',nperseg=32,noverlap=16,detrend='constant',return_onesided=False);
    // f,xy=csd(x,y,**kw); _,xx=welch(x,**kw); _,yy=welch(y,**kw); abs(xy)**2/xx/yy, -angle(xy)/2/pi
    let found = coherence(&x, &y, 8.0, 32).unwrap();
    close(found.coherence, 0.9910185683122233, 1e-12);
    close(found.lag_turns, 0.1846697333268381, 1e-12);
    close(found.lag, 8.0 * 0.1846697333268381, 1e-12);
    assert_eq!(found.segments, 5);
    let found = coherence(&x, &y, 32.0 / 3.0, 32).unwrap();
    close(found.coherence, 0.7099794262504715, 1e-12);
    close(found.lag_turns, 0.19430048319673923, 1e-12);
}

#[test]
fn coherence_of_delayed_and_of_unrelated_series() {
    let x: Vec<f64> = even(2000).iter().map(|t| (TAU * t / 25.0).sin()).collect();
    let y: Vec<f64> = even(2000)
        .iter()
        .map(|t| 5.0 + 2.0 * (TAU * (t - 4.0) / 25.0).sin())
        .collect();
    let found = coherence(&x, &y, 25.0, 100).unwrap();
    close(found.coherence, 1.0, 1e-12);
    close(found.lag, 4.0, 1e-9);
    let values: Vec<f64> = (0..200)
        .map(|seed| {
            coherence(&normals(2 * seed, 640), &normals(2 * seed + 1, 640), 8.0, 64)
                .unwrap()
                .coherence
        })
        .collect();
    // 19 segments that overlap by half are worth some 10 to 19 independent ones.
    assert!((1.0 / 19.0..1.0 / 9.0).contains(&mean(&values)), "{}", mean(&values));
}

#[test]
fn coherence_needs_segments_and_periods() {
    let x = normals(0, 100);
    let says = |y: &[f64], period: f64, length: usize, words: &str| {
        let error = coherence(&x, y, period, length).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    says(&x[..99], 10.0, 40, "100 and 99");
    says(&x, 30.0, 40, "fewer than two periods");
    says(&x, f64::NAN, 40, "fewer than two periods");
    says(&x, 10.0, 80, "expected at least 2");
}

#[test]
fn harmonics_are_fitted_exactly() {
    let (times, _) = gappy();
    let wave = |t: f64| {
        let angle = TAU * t / 9.0;
        2.0 + 3.0 * angle.cos() - angle.sin() + 0.5 * (2.0 * angle).sin()
    };
    let values: Vec<f64> = times.iter().map(|t| wave(*t)).collect();
    let found = Harmonics::fit(&times, &values, 9.0, 2);
    close(found.r2, 1.0, 1e-12);
    close(found.power(1), 10.0, 1e-11);
    close(found.power(2), 0.25, 1e-11);
    assert_eq!((found.power(0), found.power(3)), (0.0, 0.0));
    close(found.at(123.4), wave(123.4), 1e-11);
    // More harmonics than values determine: the mean alone.
    let few = Harmonics::fit(&times[..4], &values[..4], 9.0, 3);
    assert!(few.r2.is_nan());
    close(few.at(1.0), mean(&values[..4]), 1e-14);
}

#[test]
fn a_sine_is_a_clean_sinusoid() {
    let times = even(600);
    let values: Vec<f64> = times.iter().map(|t| 0.7 * (TAU * t / 30.0 + 0.4).sin()).collect();
    let found = Waveform::of(&times, &values, 30.0);
    close(found.sine_r2, 1.0, 1e-12);
    assert!(found.harmonic_ratio < 1e-20);
    // Crest and trough are sought among 2048 phases.
    close(found.rise_fall, 1.0, 4e-3);
    close(found.height, 1.4, 1e-5);
    assert!(found.is_clean_sinusoid());
}

#[test]
fn a_relaxation_cycle_is_not() {
    // Rises for four fifths of the period and falls for one.
    let times = even(3000);
    let values: Vec<f64> = times
        .iter()
        .map(|t| {
            let phase = (t / 100.0).fract();
            if phase < 0.8 { phase / 0.8 } else { (1.0 - phase) / 0.2 }
        })
        .collect();
    let found = Waveform::of(&times, &values, 100.0);
    // A triangle wave that rises for the share d has harmonics sin(pi h d)/(h^2 d (1 - d) pi^2): the ratio of the
    // first two squared is (cos(pi d)/2)^2, and the share of the first follows from the variance 1/12.
    close(found.harmonic_ratio, ((0.8 * TAU / 2.0).cos() / 2.0).powi(2), 2e-3);
    let first = (0.8 * TAU / 2.0).sin() / (0.16 * (TAU / 2.0).powi(2));
    close(found.sine_r2, 6.0 * first * first, 2e-3);
    // Eight harmonics round the corners.
    assert!((3.0..5.0).contains(&found.rise_fall), "{found:?}");
    close(found.height, 1.0, 0.1);
    assert!(!found.is_clean_sinusoid());
    // Turned about, it falls slowly.
    let turned: Vec<f64> = values.iter().map(|x| -x).collect();
    close(
        Waveform::of(&times, &turned, 100.0).rise_fall,
        1.0 / found.rise_fall,
        1e-9,
    );
}
