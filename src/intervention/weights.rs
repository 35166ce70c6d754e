//! Arms that replace, scale or disturb weights, and those about moments.

use std::path::PathBuf;

use super::point::Point;
use super::select::Selection;
use super::{Moments, MomentsOf, read_donor};
use crate::comparison::find_weights;
use crate::error::{Error, Result};
use crate::model::initial_weights;
use crate::model::weights::{Overrides, read_weights};
use crate::random::{Purpose, Stream};

/// Another network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Donor {
    /// Run directory, or weights.
    pub path: PathBuf,
    /// Step of a run directory; the newest checkpoint without.
    pub step: Option<u64>,
}

/// By how much weights are scaled.
#[derive(Debug, Clone, PartialEq)]
pub enum ScaleTo {
    /// By this factor.
    Factor(f64),
    /// Each tensor to the norm it has in another network.
    NormsOf(Donor),
}

fn moments_of(point: &Point, moments: Moments, donor: Option<&Donor>) -> Result<MomentsOf> {
    Ok(match (moments, donor) {
        (Moments::Keep, _) | (Moments::Donor, None) => MomentsOf::Kept,
        (Moments::Zero, _) => MomentsOf::Zero,
        (Moments::Donor, Some(donor)) if !donor.path.is_dir() => {
            return Err(Error::config(format!(
                "{}: weights alone have no moments, expected a run directory",
                donor.path.display()
            )));
        }
        (Moments::Donor, Some(donor)) => {
            let of = Point::read(&donor.path, donor.step)?;
            if of.config.optimizer.kind != point.config.optimizer.kind {
                return Err(Error::config(format!(
                    "{}: has the moments of another optimizer.kind than the parent",
                    donor.path.display()
                )));
            }
            MomentsOf::Donor(of.moments)
        }
    })
}

/// Copies chosen weights of a donor.
pub(super) fn transplant(point: &mut Point, donor: &Donor, selection: &Selection, moments: Moments) -> Result<()> {
    let (_, weights) = read_donor(donor, point)?;
    let moments = moments_of(point, moments, Some(donor))?;
    copy(point, &weights, selection, &moments)
}

fn copy(point: &mut Point, weights: &[f64], selection: &Selection, moments: &MomentsOf) -> Result<()> {
    for places in selection.places(&point.layout)? {
        let values: Vec<f64> = places.iter().map(|at| weights[*at]).collect();
        point.replace(&places, &values, moments);
    }
    Ok(())
}

/// Copies chosen weights of an earlier step of the same run.
pub(super) fn rewind(point: &mut Point, step: u64, selection: &Selection, moments: Moments) -> Result<()> {
    if step > point.step {
        return Err(Error::config(format!(
            "--to {step}: is later than the checkpoint of step {}, expected an earlier one",
            point.step
        )));
    }
    if moments == Moments::Donor {
        return Err(Error::config(
            "--moments donor: a rewind has no donor, expected keep or zero",
        ));
    }
    let weights = match step {
        0 if point.info_parent().is_none() => {
            initial_weights(&point.shape, &point.config.model, point.config.task.seed)
        }
        _ => read_weights(find_weights(&point.run, Some(step))?, Overrides::default())?.1,
    };
    let moments = moments_of(point, moments, None)?;
    copy(point, &weights, selection, &moments)
}

/// Adds independent Gaussian noise: its expected squared norm is `scale`^2 of that of the tensor.
pub(super) fn noise(point: &mut Point, scale: f64, selection: &Selection, seed: u64) -> Result<()> {
    let stream = Stream::new(seed, Purpose::Intervention);
    for places in selection.places(&point.layout)? {
        let size = scale * norm(point, &places) / (places.len() as f64).sqrt();
        let noisy = |at: &usize| point.weights[*at] + size * stream.normal(*at as u64);
        let values: Vec<f64> = places.iter().map(noisy).collect();
        point.replace(&places, &values, &MomentsOf::Kept);
    }
    Ok(())
}

/// Scales chosen weights.
pub(super) fn scale(point: &mut Point, to: &ScaleTo, selection: &Selection) -> Result<()> {
    let like = match to {
        ScaleTo::Factor(_) => None,
        ScaleTo::NormsOf(donor) => Some(read_donor(donor, point)?.1),
    };
    for places in selection.places(&point.layout)? {
        let factor = match (to, &like) {
            (ScaleTo::Factor(factor), _) => *factor,
            (_, Some(donor)) => {
                let target = places.iter().map(|at| donor[*at] * donor[*at]).sum::<f64>().sqrt();
                let present = norm(point, &places);
                // What is zero has no direction in which to grow.
                if present > 0.0 { target / present } else { 1.0 }
            }
            (ScaleTo::NormsOf(_), None) => 1.0,
        };
        let values: Vec<f64> = places.iter().map(|at| factor * point.weights[*at]).collect();
        point.replace(&places, &values, &MomentsOf::Kept);
    }
    Ok(())
}

fn norm(point: &Point, places: &[usize]) -> f64 {
    places.iter().map(|at| point.weights[*at].powi(2)).sum::<f64>().sqrt()
}

/// Sets chosen moments to zero.
pub(super) fn reset_moments(point: &mut Point, selection: &Selection) -> Result<()> {
    for places in selection.places(&point.layout)? {
        let values: Vec<f64> = places.iter().map(|at| point.weights[*at]).collect();
        point.replace(&places, &values, &MomentsOf::Zero);
    }
    Ok(())
}

/// Permutes the moments of each chosen tensor: those of one weight stay together.
pub(super) fn shuffle_moments(point: &mut Point, selection: &Selection, seed: u64) -> Result<()> {
    let stream = Stream::new(seed, Purpose::Intervention);
    let len = point.layout.len;
    let mut drawn = 0;
    let mut all = point.moments.clone();
    for places in selection.places(&point.layout)? {
        let from = shuffled(&places, &stream, &mut drawn);
        for (to, from) in places.iter().zip(&from) {
            for row in (0..all.len() / len).filter(|row| *row != super::point::PREVIOUS_GRADIENT) {
                all[row * len + to] = point.moments[row * len + from];
            }
        }
    }
    let places: Vec<usize> = (0..len).collect();
    let weights = point.weights.clone();
    point.replace(&places, &weights, &MomentsOf::Donor(all));
    Ok(())
}

/// A random order (Fisher and Yates), by the draws from `drawn` on.
pub(super) fn shuffled<T: Clone>(things: &[T], stream: &Stream, drawn: &mut u64) -> Vec<T> {
    let mut order = things.to_vec();
    for last in (1..order.len()).rev() {
        let with = stream.below(*drawn, last as u32 + 1) as usize;
        *drawn += 1;
        order.swap(last, with);
    }
    order
}
