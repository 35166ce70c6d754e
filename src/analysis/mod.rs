//! What a recorded series says about a run: plain functions on series, on the host.
//!
//! A series is a slice of steps in increasing order and a slice of values of the same length, where NaN is "not
//! measured". Nothing here reads files or knows plans. Where chance enters, in simulations and resampling, it comes from
//! Philox by a seed, so that every number can be had again. Formulas and their sources: `docs/analysis.md`.
//!
//! | question | where |
//! |---|---|
//! | when did the run memorise, grok, collapse | [`transitions`], [`episodes`] |
//! | what did it settle into | [`equilibrium`] |
//! | is there a period, and of what form | [`period`], [`waveform`], [`coherence`], [`autocorrelation`] |
//! | what moves the weight norm | [`norm_budget`] |
//! | how often does the agreement of gradients fall | [`instabilities`] |
//! | how long does it take, where some were not seen to the end | [`survival`] |
//! | do two quantities go together, beyond a third | [`correlation`], [`bootstrap`] |
//! | which model explains a frequency | [`model_comparison`], [`frequency_models`] |
//! | selection or transmission | [`price`] |
//! | the gradient noise scale | [`noise_scale`] |

pub mod autocorrelation;
pub mod bootstrap;
pub mod coherence;
pub mod correlation;
pub mod draws;
pub mod episodes;
pub mod equilibrium;
pub mod frequency_models;
pub mod instabilities;
pub mod model_comparison;
pub mod noise_scale;
pub mod norm_budget;
pub mod period;
pub mod price;
pub mod red_noise;
pub mod regression;
pub mod series;
pub mod spectrum;
pub mod survival;
pub mod transitions;
pub mod waveform;
