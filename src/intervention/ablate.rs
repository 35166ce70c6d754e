//! Taking parts of a network out.

use super::point::Point;
use super::select::{NeuronPlaces, Selection, head, neuron};
use super::waves::{Lines, embedding_lines, part, unembedding_lines};
use super::weights::shuffled;
use super::{Moments, MomentsOf};
use crate::backend::Make;
use crate::comparison::activations;
use crate::error::{Error, Result};
use crate::model::ModelShape;
use crate::random::{Purpose, Stream};
use crate::structure::Table;
use crate::structure::neurons::Neuron;
use crate::structure::waves::Waves;
use crate::task::{Cyclic, Task};

/// What is taken out.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// These frequencies of the embedding and of the unembedding.
    Frequencies(Vec<usize>),
    /// All frequencies of both but these and the mean.
    OtherFrequencies(Vec<usize>),
    /// Hidden neurons, as (layer, index).
    Neurons(Vec<(usize, usize)>),
    /// The neurons in the clusters of these frequencies.
    Clusters(Vec<usize>),
    /// The neurons with a purity below this.
    Impure(f64),
    /// What these heads of attention write, as (block, head).
    Heads(Vec<(usize, usize)>),
    /// These tensors.
    Tensors(Selection),
}

/// What stands in the place of a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// Nothing: all its weights are 0.
    #[default]
    Zero,
    /// Its mean activation over the training split, through the bias of the layer above.
    Mean,
}

/// An ablation.
#[derive(Debug, Clone, PartialEq)]
pub struct Ablation {
    /// What is taken out.
    pub target: Target,
    /// What stands in the place of neurons.
    pub by: By,
    /// Take out random other neurons instead, until their norms |w_in| |w_out| add up to those of the target.
    pub random: bool,
    /// Seed of that choice.
    pub seed: u64,
    /// What becomes of the moments.
    pub moments: Moments,
}

/// Takes out what is asked.
pub(super) fn ablate(make: Make, point: &mut Point, ablation: &Ablation) -> Result<()> {
    let moments = match ablation.moments {
        Moments::Keep => MomentsOf::Kept,
        Moments::Zero => MomentsOf::Zero,
        Moments::Donor => {
            return Err(Error::config(
                "--moments donor: an ablation has no donor, expected keep or zero",
            ));
        }
    };
    let places = match &ablation.target {
        Target::Frequencies(keys) => return project(point, &moments, |k| keys.contains(&k), keys),
        Target::OtherFrequencies(keys) => return project(point, &moments, |k| !keys.contains(&k), keys),
        Target::Heads(heads) => heads
            .iter()
            .map(|(layer, index)| head(&point.shape, &point.layout, *layer, *index))
            .collect::<Result<Vec<_>>>()?
            .concat(),
        Target::Tensors(selection) => selection.places(&point.layout)?.concat(),
        Target::Neurons(_) | Target::Clusters(_) | Target::Impure(_) => {
            return neurons(make, point, ablation, &moments);
        }
    };
    if ablation.by == By::Mean || ablation.random {
        return Err(Error::config(
            "--by mean and --random are about neurons, expected --neurons, --clusters or --purity-below",
        ));
    }
    point.replace(&places, &vec![0.0; places.len()], &moments);
    Ok(())
}

fn neurons(make: Make, point: &mut Point, ablation: &Ablation, moments: &MomentsOf) -> Result<()> {
    let known = match (&ablation.target, ablation.random) {
        (Target::Neurons(_), false) => None,
        _ => Some(measured(make, point, &point.weights)?),
    };
    let mut chosen: Vec<(usize, usize)> = match (&ablation.target, &known) {
        (Target::Neurons(chosen), _) => chosen.clone(),
        (Target::Clusters(keys), Some(known)) => {
            filter(known, |neuron| neuron.cluster.is_some_and(|key| keys.contains(&key)))
        }
        (Target::Impure(purity), Some(known)) => filter(known, |neuron| neuron.purity < *purity),
        _ => Vec::new(),
    };
    chosen.sort_unstable();
    chosen.dedup();
    let mut places = chosen
        .iter()
        .map(|(layer, index)| neuron(&point.shape, &point.layout, *layer, *index))
        .collect::<Result<Vec<_>>>()?;
    if chosen.is_empty() {
        return Err(Error::config(
            "no neuron is like that, expected at least one to take out",
        ));
    }
    if let (Some(known), true) = (&known, ablation.random) {
        chosen = as_strong(known, &chosen, ablation.seed);
        places = chosen
            .iter()
            .map(|(layer, index)| neuron(&point.shape, &point.layout, *layer, *index))
            .collect::<Result<Vec<_>>>()?;
    }
    if ablation.by == By::Mean {
        into_bias(make, point, &chosen, &places)?;
    }
    for places in places.iter().map(NeuronPlaces::all) {
        point.replace(&places, &vec![0.0; places.len()], moments);
    }
    Ok(())
}

/// The neurons of a network on the table of the point's task, with their layers.
pub(super) fn measured(make: Make, point: &Point, weights: &[f64]) -> Result<Vec<((usize, usize), Neuron)>> {
    let (_, table) = table(point)?;
    let found = table.responses(make, &point.shape, weights)?.neurons;
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    Ok(found
        .into_iter()
        .map(|neuron| {
            let count = counts.entry(neuron.layer).or_default();
            *count += 1;
            ((neuron.layer, *count - 1), neuron)
        })
        .collect())
}

fn table(point: &Point) -> Result<(Cyclic, Table)> {
    let config = &point.config;
    let task = Task::new(&config.task, &config.model)?;
    let group = Cyclic::new(config.task.op, config.task.p)?;
    let table = Table::new(group.clone(), &task.train, &task.test, config.loss.kind)?;
    Ok((group, table))
}

fn filter(known: &[((usize, usize), Neuron)], is: impl Fn(&Neuron) -> bool) -> Vec<(usize, usize)> {
    known.iter().filter(|(_, n)| is(n)).map(|(place, _)| *place).collect()
}

/// Random neurons that are not among the chosen, until they are as strong together.
fn as_strong(known: &[((usize, usize), Neuron)], chosen: &[(usize, usize)], seed: u64) -> Vec<(usize, usize)> {
    let (inside, outside): (Vec<_>, Vec<_>) = known.iter().partition(|(place, _)| chosen.contains(place));
    let aim: f64 = inside.iter().map(|(_, neuron)| neuron.norm).sum();
    let mut sum = 0.0;
    let order = shuffled(&outside, &Stream::new(seed, Purpose::Intervention), &mut 0);
    let taken = order.into_iter().take_while(|(_, neuron)| {
        let more = sum < aim;
        sum += neuron.norm;
        more
    });
    taken.map(|(place, _)| place).collect()
}

/// Adds what the neurons write on average to the bias above them.
fn into_bias(make: Make, point: &mut Point, chosen: &[(usize, usize)], places: &[NeuronPlaces]) -> Result<()> {
    let task = Task::new(&point.config.task, &point.config.model)?;
    let shape = point
        .shape
        .clone()
        .with_attention_mix(point.config.model.attention_mix.at(point.step));
    let seen = activations(make, &shape, &point.weights, &task.train)?;
    for ((layer, index), places) in chosen.iter().zip(places) {
        let (matrix, bias) = match &point.shape {
            ModelShape::Transformer(_) => (format!("blocks.{layer}.mlp.W_out"), format!("blocks.{layer}.mlp.b_out")),
            ModelShape::Mlp(_) => (format!("layers.{}.W", layer + 1), format!("layers.{}.b", layer + 1)),
        };
        let Some(bias) = point.layout.tensors.iter().find(|tensor| tensor.name == bias).cloned() else {
            return Err(Error::config(
                "--by mean: the layers have no biases, expected --by zero",
            ));
        };
        let width = point.layout.tensor(&matrix).rows;
        let (_, inputs) = seen
            .sites
            .iter()
            .find(|(name, _)| *name == matrix)
            .expect("a site for every matrix");
        // A mean over positions as well, where the layer is used at several.
        let (mut sum, mut count) = (0.0, 0.0);
        for row in inputs.values.chunks_exact(width) {
            sum += row[*index];
            count += 1.0;
        }
        for (column, above) in places.above.iter().enumerate() {
            point.weights[bias.offset + column] += sum / count * point.weights[*above];
        }
    }
    Ok(())
}

/// Takes frequencies out of the embedding and the unembedding.
fn project(point: &mut Point, moments: &MomentsOf, is_out: impl Fn(usize) -> bool, named: &[usize]) -> Result<()> {
    let group = Cyclic::new(point.config.task.op, point.config.task.p)?;
    let waves = Waves::new(group.order());
    check_frequencies(named, &waves)?;
    let out: Vec<usize> = waves.frequencies().filter(|k| is_out(*k)).collect();
    let lines: Lines = [
        embedding_lines(&point.shape, &point.layout, &group),
        unembedding_lines(&point.shape, &point.layout, &group),
    ]
    .concat();
    for line in lines {
        let parts = part(&waves, &point.weights, &line, &out);
        let values: Vec<f64> = line
            .iter()
            .zip(&parts)
            .map(|(at, part)| point.weights[*at] - part)
            .collect();
        point.replace(&line, &values, moments);
    }
    Ok(())
}

pub(super) fn check_frequencies(named: &[usize], waves: &Waves) -> Result<()> {
    match named.iter().find(|k| !waves.frequencies().contains(*k)) {
        Some(k) => Err(Error::config(format!(
            "frequency {k}: expected 1 to {}, half the order of the group",
            waves.frequencies().end()
        ))),
        None => Ok(()),
    }
}
