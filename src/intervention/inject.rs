//! Putting what another network has learnt into this one: neurons of some frequencies, and those frequencies' components.

use super::ablate::{check_frequencies, measured};
use super::point::Point;
use super::select::{Selection, neuron};
use super::waves::{embedding_lines, part, unembedding_lines};
use super::weights::{Donor, shuffled};
use super::{Moments, MomentsOf, read_donor};
use crate::backend::Make;
use crate::error::{Error, Result};
use crate::model::TensorGroup;
use crate::random::{Purpose, Stream};
use crate::structure::neurons::{Neuron, key_frequencies};
use crate::structure::waves::Waves;
use crate::task::Cyclic;

/// Parts of the donor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Neurons in the clusters of the frequencies: weights below, bias, weights above.
    Neurons,
    /// The embedding's components at the frequencies.
    Embedding,
    /// All matrices and biases of attention.
    Attention,
    /// The unembedding's components at the frequencies.
    Unembedding,
}

/// What the neurons are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Control {
    /// The donor's.
    #[default]
    Donor,
    /// The donor's, whose weights above change places among those of one frequency: spectra stay, phases no longer fit.
    Shuffled,
    /// Random directions below and above with the norms of the donor's.
    Random,
    /// Zero: only what they overwrite is lost.
    Empty,
}

/// An injection.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// Whose.
    pub donor: Donor,
    /// Which frequencies; all key frequencies of the donor if none.
    pub frequencies: Vec<usize>,
    /// Which parts.
    pub parts: Vec<Part>,
    /// Most neurons, the strongest first.
    pub neurons: usize,
    /// What the neurons are.
    pub control: Control,
    /// What becomes of the moments.
    pub moments: Moments,
    /// Seed of random directions and places.
    pub seed: u64,
}

/// Injects what is asked.
pub(super) fn inject(make: Make, point: &mut Point, injection: &Injection) -> Result<()> {
    let moments = match injection.moments {
        Moments::Keep => MomentsOf::Kept,
        Moments::Zero => MomentsOf::Zero,
        Moments::Donor => {
            return Err(Error::config(
                "--moments donor: neurons change their places, expected keep or zero",
            ));
        }
    };
    if injection.control == Control::Empty && injection.parts != [Part::Neurons] {
        return Err(Error::config(
            "--control empty: injects nothing but what neurons overwrite, expected --parts neurons",
        ));
    }
    let (file, donor) = read_donor(&injection.donor, point)?;
    let group = Cyclic::new(point.config.task.op, point.config.task.p)?;
    let waves = Waves::new(group.order());
    check_frequencies(&injection.frequencies, &waves)?;
    let of_donor = measured(make, point, &donor)?;
    let frequencies = match injection.frequencies.is_empty() {
        true => key_frequencies(&of_donor.iter().map(|(_, neuron)| *neuron).collect::<Vec<_>>()),
        false => injection.frequencies.clone(),
    };
    for part in &injection.parts {
        match part {
            Part::Neurons => {
                let mut given: Vec<((usize, usize), Neuron)> = of_donor
                    .iter()
                    .filter(|(_, neuron)| neuron.cluster.is_some_and(|key| frequencies.contains(&key)))
                    .copied()
                    .collect();
                given.sort_by(|a, b| b.1.norm.total_cmp(&a.1.norm).then(a.0.cmp(&b.0)));
                given.truncate(injection.neurons);
                if given.is_empty() {
                    return Err(Error::io(&file, "has no neurons in the clusters of these frequencies"));
                }
                let hosts = measured(make, point, &point.weights)?;
                neurons(point, &donor, (&given, &hosts), injection, &moments)?;
            }
            Part::Embedding | Part::Unembedding => {
                let lines = match part {
                    Part::Embedding => embedding_lines(&point.shape, &point.layout, &group),
                    _ => unembedding_lines(&point.shape, &point.layout, &group),
                };
                for line in lines {
                    let own = self::part(&waves, &point.weights, &line, &frequencies);
                    let given = self::part(&waves, &donor, &line, &frequencies);
                    let values: Vec<f64> = line
                        .iter()
                        .zip(own.iter().zip(&given))
                        .map(|(at, (own, given))| point.weights[*at] - own + given)
                        .collect();
                    point.replace(&line, &values, &moments);
                }
            }
            Part::Attention => {
                let selection = Selection {
                    tensors: attention(point)?,
                    groups: Vec::new(),
                };
                for places in selection.places(&point.layout)? {
                    let values: Vec<f64> = places.iter().map(|at| donor[*at]).collect();
                    point.replace(&places, &values, &moments);
                }
            }
        }
    }
    Ok(())
}

/// Names of the tensors of attention, biases included.
fn attention(point: &Point) -> Result<Vec<String>> {
    let externals = point.layout.externals.iter();
    let names: Vec<String> = externals
        .filter(|external| {
            let group = point.layout.tensors[external.tensor].group;
            group == TensorGroup::Attention || external.name.contains(".attn.")
        })
        .map(|external| external.name.clone())
        .collect();
    match names.is_empty() {
        true => Err(Error::config("--parts attention: an MLP has none")),
        false => Ok(names),
    }
}

type Known = ((usize, usize), Neuron);

/// Overwrites the weakest neurons of each layer with those that are given.
fn neurons(
    point: &mut Point,
    donor: &[f64],
    (given, hosts): (&[Known], &[Known]),
    injection: &Injection,
    moments: &MomentsOf,
) -> Result<()> {
    let stream = Stream::new(injection.seed, Purpose::Intervention);
    let mut weakest = hosts.to_vec();
    weakest.sort_by(|a, b| a.1.norm.total_cmp(&b.1.norm).then(a.0.cmp(&b.0)));
    let places_of = |point: &Point, (layer, index): (usize, usize)| neuron(&point.shape, &point.layout, layer, index);
    let above = match injection.control {
        Control::Shuffled => shuffled_within(given, &stream),
        _ => (0..given.len()).collect(),
    };
    let mut drawn = 0;
    for (which, (place, _)) in given.iter().enumerate() {
        let found = weakest.iter().position(|(host, _)| host.0 == place.0);
        let (host, _) = weakest.remove(found.expect("as many neurons as the donor has in the layer"));
        let (from, to) = (places_of(point, *place)?, places_of(point, host)?);
        let writer = places_of(point, given[above[which]].0)?;
        let of = |places: &[usize]| -> Vec<f64> { places.iter().map(|at| donor[*at]).collect() };
        let (mut below, mut upward) = (of(&from.below), of(&writer.above));
        let mut bias: Vec<f64> = from.bias.iter().map(|at| donor[*at]).collect();
        match injection.control {
            Control::Donor | Control::Shuffled => {}
            Control::Random => {
                for values in [&mut below, &mut upward] {
                    *values = as_long(values, &stream, &mut drawn);
                }
            }
            Control::Empty => {
                for values in [&mut below, &mut upward, &mut bias] {
                    values.fill(0.0);
                }
            }
        }
        point.replace(&to.all(), &[below, bias, upward].concat(), moments);
    }
    Ok(())
}

/// For each neuron one of the same frequency, each once.
fn shuffled_within(given: &[Known], stream: &Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..given.len()).collect();
    // Far behind the draws of random directions.
    let mut drawn = 1 << 40;
    for key in key_frequencies(&given.iter().map(|(_, neuron)| *neuron).collect::<Vec<_>>()) {
        let members: Vec<usize> = (0..given.len()).filter(|k| given[*k].1.cluster == Some(key)).collect();
        // A cycle through a random order leaves none in its place.
        let cycle = shuffled(&members, stream, &mut drawn);
        for (k, member) in cycle.iter().enumerate() {
            order[*member] = cycle[(k + 1) % cycle.len()];
        }
    }
    order
}

/// A random direction with the norm of these values.
fn as_long(values: &[f64], stream: &Stream, drawn: &mut u64) -> Vec<f64> {
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let random: Vec<f64> = values
        .iter()
        .map(|_| {
            *drawn += 1;
            stream.normal(*drawn - 1)
        })
        .collect();
    let factor = norm(values) / norm(&random);
    random.iter().map(|x| factor * x).collect()
}
