//! Whole networks: gradients, per-sample norms and Gram matrices against central differences of per-sample losses.
//!
//! One forward pass gives the losses of all samples, so moving one parameter gives its entry of every sample's
//! gradient: the whole matrix `[N, P]` comes from differences alone.

use std::sync::Arc;

use gmatrix::backend::{Executor, Precision, Values};
use gmatrix::config::{LossKind, MlpInput};
use gmatrix::loss::{Cotangent, losses};
use gmatrix::model::{Activation, Batch, MlpShape, ModelShape, Network, Norm, TransformerShape};
use gmatrix::plan::{Arena, BufferId, Kernel, PlanBuilder, Segment, View, control};
use gmatrix::stats::{columns, gram, per_sample};

use super::{SMALL_STEP, slope};
use crate::backends::Backend;
use crate::case::{numbers, words};
use crate::fill::Rng;
use crate::run::backends_with;

const TOKENS: usize = 5;
const CLASSES: usize = 4;

/// What a plan of a network leaves behind.
struct Found {
    gradient: Vec<f64>,
    norms: Vec<f64>,
    gram: Vec<f64>,
    exponent: Vec<u32>,
    /// Columns from the stored matrix, and from streamed tiles.
    rows: [Vec<f64>; 2],
}

/// A network on some samples, ready to run.
struct Setup {
    executor: Box<dyn Executor>,
    parameters: BufferId,
    loss: BufferId,
    views: [BufferId; 6],
    theta: Vec<f64>,
}

fn id(view: View) -> BufferId {
    match view {
        View::Part { buffer, .. } => buffer,
        View::Whole(_) => unreachable!("buffers are parts"),
    }
}

impl Setup {
    fn new(backend: &Backend, shape: &ModelShape, kind: LossKind, n: usize) -> Self {
        let mut b = PlanBuilder::new();
        let net = Network::new(&mut b, shape);
        let len = net.layout.len;
        let batch = Batch {
            n,
            ids: (shape.d_vocab() > 0).then(|| b.buffer(Arena::Data, "ids", &[shape.n_ctx(), n])),
            inputs: (shape.d_vocab() == 0)
                .then(|| b.buffer(Arena::Inputs, "inputs_given", &[n, shape.input_width().unwrap_or(0)])),
            labels: b.buffer(Arena::Data, "labels", &[n]),
        };
        let out = b.buffer(Arena::Gradients, "gradient", &[len]);
        let scalars =
            ["stored", "streamed"].map(|name| b.buffer(Arena::Scalars, name, &[control::RATES + columns::PROPERTIES]));
        let mix = shape.attention_mix();
        let net = if mix > 0.0 {
            net.with_attention_mix(scalars[0])
        } else {
            net
        };
        b.segment(Segment::Step);
        let forward = net.forward(&mut b, batch);
        let loss = b.buffer(Arena::Scratch, "loss", &[n]);
        let cotangent = Cotangent::new(&mut b, n, shape.classes());
        losses(&mut b, kind, &forward, loss, Some(cotangent));
        b.segment(Segment::Gram);
        let sites = net.backward(&mut b, &forward, cotangent.logits);
        // In two halves, the second added to the first.
        net.gradient(&mut b, &sites, cotangent.exponent, out, 2 * n, false);
        net.gradient(&mut b, &sites, cotangent.exponent, out, 2 * n, true);
        let norms = per_sample::norms(&mut b, &sites, cotangent.exponent);
        let add = |b: &mut PlanBuilder, scalars, output| gram::add(b, &sites, cotangent.exponent, len, scalars, output);
        let gram = add(&mut b, scalars[0], gram::Output::Spectra)
            .gram
            .expect("a stored matrix");
        add(&mut b, scalars[1], gram::Output::Streamed);

        let mut rng = Rng::new((len + n) as u64);
        let theta: Vec<f64> = net
            .layout
            .tensors
            .iter()
            .flat_map(|tensor| {
                // Gains about 1.
                let mean = if tensor.name.contains("ln") && tensor.name.ends_with('w') {
                    1.0
                } else {
                    0.0
                };
                rng.normals(tensor.len())
                    .into_iter()
                    .map(move |x| mean + 0.4 * x)
                    .collect::<Vec<_>>()
            })
            .collect();
        let plan = Arc::new(b.finish().expect("a plan"));
        let mut executor = (backend.make)(plan, 1).expect("an executor");
        let mut upload = |view: View, values: Values| executor.upload(0, id(view), &values).expect("an upload");
        if let Some(ids) = batch.ids {
            upload(ids, Values::Words(rng.words(ids.len(), TOKENS)));
        }
        if let Some(inputs) = batch.inputs {
            upload(inputs, Values::Numbers(rng.normals(inputs.len())));
        }
        let mut rates = vec![0.0; scalars[0].len()];
        rates[control::ATTENTION_MIX] = mix;
        upload(scalars[0], Values::Numbers(rates));
        upload(batch.labels, Values::Words(rng.words(n, CLASSES)));
        let views = [out, norms, gram, cotangent.exponent, scalars[0], scalars[1]].map(id);
        Self {
            executor,
            parameters: id(net.parameters),
            loss: id(loss),
            views,
            theta,
        }
    }

    /// Losses of all samples at these weights.
    fn losses(&mut self, theta: &[f64]) -> Vec<f64> {
        self.executor
            .upload(0, self.parameters, &Values::Numbers(theta.to_vec()))
            .expect("an upload");
        self.executor.submit(&[Segment::Step]).expect("a forward pass");
        numbers(&self.executor.download(0, self.loss).expect("losses")).to_vec()
    }

    fn found(&mut self) -> Found {
        let theta = self.theta.clone();
        self.losses(&theta);
        self.executor.submit(&[Segment::Gram]).expect("a backward pass");
        let values = self
            .views
            .map(|view| self.executor.download(0, view).expect("a download"));
        let of = |k: usize| numbers(&values[k]).to_vec();
        Found {
            gradient: of(0),
            norms: of(1),
            gram: of(2),
            exponent: words(&values[3]).to_vec(),
            rows: [of(4), of(5)].map(|scalars| scalars[control::RATES..].to_vec()),
        }
    }

    /// Gradients of all samples by differences: parameter by parameter, `[P][N]`.
    fn differences(&mut self, step: f64) -> Vec<Vec<f64>> {
        let theta = self.theta.clone();
        let setup = std::cell::RefCell::new(self);
        let moved = |k: usize, by: f64| {
            let mut theta = theta.clone();
            theta[k] += by;
            setup.borrow_mut().losses(&theta)
        };
        (0..theta.len()).map(|k| slope(step, |by| moved(k, by))).collect()
    }
}

/// Compares everything that a network's sites give with differences of its losses. The differences are the CPU's: others
/// would pay for them with thousands of passes, and that their losses are the CPU's is for conformance to say.
fn agree(what: &str, shape: &ModelShape, kind: LossKind, step: f64) {
    let mut differences = None;
    for backend in backends_with(Kernel::ALL, Some(Precision::F64)) {
        let n = 7;
        let mut setup = Setup::new(&backend, shape, kind, n);
        let found = setup.found();
        assert!(differences.is_some() || backend.name == "cpu", "the CPU comes first");
        let g = differences.get_or_insert_with(|| setup.differences(step));
        let top = |values: &[f64]| values.iter().fold(0.0, |top: f64, x| top.max(x.abs()));
        let close = |name: &str, found: &[f64], expected: &[f64]| {
            let bound = 1e-7 * top(expected);
            assert!(bound > 0.0, "{what}: {name} is all zero");
            for (k, (a, b)) in found.iter().zip(expected).enumerate() {
                assert!((a - b).abs() <= bound, "{what}: {name}[{k}] is {a}, by differences {b}");
            }
        };
        let mean: Vec<f64> = g.iter().map(|row| row.iter().sum::<f64>() / n as f64).collect();
        for tensor in &gmatrix::model::Layout::new(shape).tensors {
            let range = tensor.offset..tensor.offset + tensor.len();
            close(&tensor.name, &found.gradient[range.clone()], &mean[range]);
        }
        // As scaled: sample i is 2^exponent_i times what it really is.
        let scale: Vec<f64> = found
            .exponent
            .iter()
            .map(|e| f64::from(e.cast_signed()).exp2())
            .collect();
        let product = |i: usize, j: usize| g.iter().map(|row| row[i] * row[j]).sum::<f64>() * scale[i] * scale[j];
        let gram: Vec<f64> = (0..n * n).map(|k| product(k / n, k % n)).collect();
        close("gram", &found.gram, &gram);
        let diagonal: Vec<f64> = (0..n).map(|i| gram[i * n + i]).collect();
        close("norms", &found.norms, &diagonal);
        // Below 16 N parameters a GPU has no nulls.
        let has_nulls = backend.name == "cpu" || setup.theta.len() >= 16 * n;
        same_statistics(what, &found.rows, has_nulls);
    }
}

/// Streamed tiles give the columns that the stored matrix gives, where no spectrum is needed.
fn same_statistics(what: &str, [stored, streamed]: &[Vec<f64>; 2], has_nulls: bool) {
    let mut compared = 0;
    for column in columns::N..columns::PROPERTIES {
        let (a, b) = (stored[column], streamed[column]);
        let spectral = column >= columns::RAW && [0, 1, 4, 5, 6].contains(&((column - columns::RAW) % columns::FORM));
        let name = columns::FIXED[column].0;
        let is_null = name.contains(".null_");
        if spectral {
            let is_there = !a.is_nan() || (is_null && !has_nulls);
            assert!(b.is_nan() && is_there, "{what}: {name} without a spectrum");
            continue;
        }
        if is_null && !has_nulls {
            assert!(a.is_nan() && b.is_nan(), "{what}: {name} {a} {b}");
        } else {
            assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{what}: {name} {a} {b}");
        }
        compared += 1;
    }
    assert_eq!(compared, 6 + 3 * 4);
}

fn transformer(layers: usize, norm: Norm, n_ctx: usize, activation: Activation) -> ModelShape {
    ModelShape::Transformer(TransformerShape {
        layers,
        d_model: 6,
        heads: 2,
        d_mlp: 5,
        activation,
        norm,
        attention_biases: layers > 1,
        unembed_bias: layers > 1,
        attention_mix: 0.0,
        n_ctx,
        d_vocab: TOKENS,
        d_vocab_out: CLASSES,
    })
}

fn mlp(input: MlpInput, hidden: &[usize], activation: Activation, bias: bool) -> ModelShape {
    let float = input == MlpInput::Float;
    ModelShape::Mlp(MlpShape {
        input,
        d_vocab: if float { 0 } else { TOKENS },
        n_ctx: if float { 1 } else { 3 },
        d_model: if input == MlpInput::OneHot { 0 } else { 6 },
        hidden: hidden.to_vec(),
        activation,
        bias,
        d_vocab_out: CLASSES,
    })
}

#[test]
fn gradients_of_transformers_are_slopes() {
    for (layers, n_ctx) in [(1, 3), (2, 3), (1, 4), (2, 4)] {
        for norm in [Norm::None, Norm::Pre] {
            let shape = transformer(layers, norm, n_ctx, Activation::Gelu);
            agree(
                &format!("{layers} layers, T={n_ctx}, {norm:?}"),
                &shape,
                LossKind::CrossEntropy,
                SMALL_STEP,
            );
        }
    }
    for (layers, norm, mix) in [(1, Norm::None, 0.35), (2, Norm::Pre, 0.8)] {
        let shape = transformer(layers, norm, 4, Activation::Gelu).with_attention_mix(mix);
        agree(
            &format!("{layers} layers, {norm:?}, attention mixed by {mix}"),
            &shape,
            LossKind::CrossEntropy,
            SMALL_STEP,
        );
    }
    let shape = transformer(1, Norm::None, 3, Activation::Quadratic);
    agree("quadratic, naive", &shape, LossKind::CrossEntropyNaive, SMALL_STEP);
    agree("quadratic, mean squared error", &shape, LossKind::Mse, SMALL_STEP);
}

#[test]
fn gradients_of_mlps_are_slopes() {
    for input in [MlpInput::OneHot, MlpInput::Embedding, MlpInput::Float] {
        for bias in [false, true] {
            for hidden in [&[][..], &[5], &[5, 3]] {
                let shape = mlp(input, hidden, Activation::Quadratic, bias);
                let what = format!("{input:?} {hidden:?} bias {bias}");
                agree(&what, &shape, LossKind::CrossEntropy, SMALL_STEP);
                agree(
                    &format!("{what}, mean squared error"),
                    &shape,
                    LossKind::Mse,
                    SMALL_STEP,
                );
            }
        }
    }
}

#[test]
fn gradients_of_relu_networks_are_slopes() {
    // Steps so small that no kink lies within them.
    let step = 1e-5;
    agree(
        "relu transformer",
        &transformer(1, Norm::None, 3, Activation::Relu),
        LossKind::CrossEntropy,
        step,
    );
    agree(
        "relu transformer",
        &transformer(2, Norm::Pre, 3, Activation::Relu),
        LossKind::CrossEntropy,
        step,
    );
    agree(
        "relu mlp",
        &mlp(MlpInput::OneHot, &[7], Activation::Relu, true),
        LossKind::CrossEntropy,
        step,
    );
}
