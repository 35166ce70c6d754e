//! Launches made ready: pipelines compiled, arenas bound, parameters and offsets written down.

use std::num::NonZeroU64;

use super::argument::Argument;
use super::device::{Compiled, Gpu};
use super::manifest::find;
use super::source::{ALWAYS, HEAD, binds_control, source};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Access, Arena, Kernel, Launch, Plan, Segment, control};

/// Bytes of one launch's uniform block: WebGPU's alignment of dynamic offsets.
pub(super) const UNIFORM: u64 = 256;

/// A launch with everything bound, ready to be encoded.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Its place among all launches of the plan.
    pub place: usize,
    pub segment: Segment,
    pub pipeline: wgpu::ComputePipeline,
    pub arguments: wgpu::BindGroup,
    pub uniform: u32,
    pub grid: [u32; 3],
}

impl Recorded {
    /// Runs that it is for.
    pub fn runs(&self) -> usize {
        self.grid[2] as usize
    }

    /// Adds it to a pass.
    pub fn encode(&self, pass: &mut wgpu::ComputePass, uniforms: &wgpu::BindGroup) {
        let [x, y, z] = self.grid;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.arguments, &[]);
        pass.set_bind_group(1, uniforms, &[self.uniform]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// What a pipeline is compiled for: kernel, constants, and which bindings must be writable.
pub(super) type Key = (Kernel, Vec<u32>, Vec<bool>);

/// Compiles pipelines, once each, and binds launches to them.
pub(super) struct Recorder<'a> {
    gpu: &'a Gpu,
    plan: &'a Plan,
    arenas: &'a [wgpu::Buffer],
    runs: usize,
    uniform_words: Vec<u32>,
}

impl<'a> Recorder<'a> {
    pub fn new(gpu: &'a Gpu, plan: &'a Plan, arenas: &'a [wgpu::Buffer], runs: usize) -> Self {
        Self {
            gpu,
            plan,
            arenas,
            runs,
            uniform_words: Vec::new(),
        }
    }

    /// The launch, ready to be encoded: once, or for some of the runs after the other where their arguments together are
    /// too large for one binding. None if it has no work.
    pub fn record(&mut self, place: usize, launch: &Launch) -> Result<Vec<Recorded>> {
        let contract = launch.kernel.contract();
        let shader = find(launch.kernel).expect("lowering has checked that the kernel is there");
        let groups = (shader.groups)(&launch.params, &launch.spec);
        if groups == 0 {
            return Ok(Vec::new());
        }
        let (columns, rows) = self.grid(groups).ok_or_else(|| {
            Error::unsupported(format!(
                "{}: kernel {} needs {groups} workgroups",
                launch.label, contract.name
            ))
        })?;
        let written: Vec<Arena> = launch
            .bindings
            .iter()
            .filter(|binding| binding.access.writes())
            .map(|binding| binding.arena)
            .collect();
        let writable: Vec<bool> = launch.bindings.iter().map(|b| written.contains(&b.arena)).collect();
        let key = (launch.kernel, launch.spec.clone(), writable);
        let known = self.gpu.pipelines().get(&key).cloned();
        let (pipeline, layout) = match known {
            Some(compiled) => compiled,
            None => {
                let compiled = self.compile(&key, launch)?;
                self.gpu.pipelines().insert(key, compiled.clone());
                compiled
            }
        };
        let mut arguments: Vec<Argument> = launch
            .bindings
            .iter()
            .map(|binding| Argument::new(self.plan, binding))
            .collect();
        if !binds_control(contract) {
            arguments.push(Argument::control(self.plan));
        }
        let most = self.runs_at_once(launch, &arguments)?;
        let mut recorded = Vec::new();
        for first in (0..self.runs).step_by(most) {
            let runs = most.min(self.runs - first);
            let entries: Vec<wgpu::BindGroupEntry> = arguments
                .iter()
                .enumerate()
                .map(|(place, argument)| wgpu::BindGroupEntry {
                    binding: place as u32,
                    resource: wgpu::BindingResource::Buffer(argument.range(self.arenas, first, runs)),
                })
                .collect();
            let arguments_group = self.gpu.checked(
                || format!("{}: arguments of kernel {}", launch.label, contract.name),
                || {
                    self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                        label: Some(&launch.label),
                        layout: &layout,
                        entries: &entries,
                    })
                },
            )?;
            let uniform = self.uniform_words.len() as u64 * 4;
            self.push_uniform(launch, &arguments, columns, groups)?;
            recorded.push(Recorded {
                place,
                segment: launch.segment,
                pipeline: pipeline.clone(),
                arguments: arguments_group,
                uniform: u32::try_from(uniform)
                    .map_err(|_| Error::unsupported("wgpu: a plan with more than 16 million launches"))?,
                grid: [columns, rows, runs as u32],
            });
        }
        Ok(recorded)
    }

    /// Most runs of which each argument fits one binding, and all of them one grid.
    fn runs_at_once(&self, launch: &Launch, arguments: &[Argument]) -> Result<usize> {
        let limits = self.gpu.device.limits();
        let binding = limits.max_storage_buffer_binding_size;
        let mut most = self
            .runs
            .max(1)
            .min(limits.max_compute_workgroups_per_dimension as usize);
        for argument in arguments {
            let fit = argument.runs_within(binding);
            if fit == 0 {
                return Err(Error::unsupported(format!(
                    "wgpu: {}: argument {} of kernel {} needs {} bytes, and a binding of {} has at most {binding}; fewer \
                     samples or a smaller batch fit, or the CPU backend",
                    launch.label,
                    argument.name,
                    launch.kernel.name(),
                    argument.bytes(1),
                    self.gpu.summary.name
                )));
            }
            most = most.min(fit);
        }
        Ok(most)
    }

    /// Columns and rows of a grid of at least so many groups, as square as one dimension's limit demands.
    fn grid(&self, groups: u64) -> Option<(u32, u32)> {
        let limit = u64::from(self.gpu.device.limits().max_compute_workgroups_per_dimension);
        let rows = groups.div_ceil(limit);
        (rows <= limit).then(|| (groups.div_ceil(rows) as u32, rows as u32))
    }

    fn push_uniform(&mut self, launch: &Launch, arguments: &[Argument], columns: u32, groups: u64) -> Result<()> {
        let control_stride = self.plan.stride(Arena::Control);
        let due = match launch.segment {
            _ if control_stride == 0 => ALWAYS,
            Segment::Begin => control::ACTIVE as u32,
            segment => control::due(segment) as u32,
        };
        let end = self.uniform_words.len() + (UNIFORM / 4) as usize;
        // In the order of `HEAD`; grids beyond 2^32 groups were refused.
        let head: [u32; HEAD.len()] = [columns, groups as u32, due, 0, control_stride as u32];
        self.uniform_words.extend(head);
        self.uniform_words.extend(&launch.params);
        // The control block that is bound behind the launch's own arguments has no place among them.
        for argument in &arguments[..launch.bindings.len()] {
            // Bindings have less than 2^32 bytes, so places within them fit u32.
            self.uniform_words
                .extend([argument.start() as u32, argument.stride as u32]);
        }
        if self.uniform_words.len() > end {
            return Err(Error::unsupported(format!(
                "kernel {} has more parameters than {UNIFORM} bytes hold",
                launch.kernel.name()
            )));
        }
        self.uniform_words.resize(end, 0);
        Ok(())
    }

    fn compile(&self, (kernel, spec, writable): &Key, launch: &Launch) -> Result<Compiled> {
        let gpu = self.gpu;
        let contract = kernel.contract();
        let name = format!("{} {spec:?}", contract.name);
        let text = source(*kernel, spec, writable).ok_or_else(|| {
            Error::from(ErrorKind::Compile {
                kernel: name.clone(),
                log: "a shared file that it imports does not exist".into(),
            })
        })?;
        let mut entries: Vec<wgpu::BindGroupLayoutEntry> = launch
            .bindings
            .iter()
            .zip(writable)
            .enumerate()
            .map(|(place, (binding, writable))| storage_entry(place, binding.access == Access::Read && !writable))
            .collect();
        if !binds_control(contract) {
            entries.push(storage_entry(entries.len(), true));
        }
        let compiled = gpu.scoped(|| {
            let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&name),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            });
            let layout = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&name),
                entries: &entries,
            });
            let pipeline_layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&name),
                bind_group_layouts: &[Some(&layout), Some(&gpu.uniform_layout)],
                immediate_size: 0,
            });
            let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            (pipeline, layout)
        });
        gpu.healthy()
            .map_err(|fault| Error::device(format!("kernel {name}: {fault}")))?;
        compiled.map_err(|log| ErrorKind::Compile { kernel: name, log }.into())
    }

    /// All uniform blocks in one buffer.
    pub fn uniforms(&mut self) -> Result<wgpu::BindGroup> {
        if self.uniform_words.is_empty() {
            self.uniform_words.resize((UNIFORM / 4) as usize, 0);
        }
        let gpu = self.gpu;
        gpu.checked(
            || "uniforms of all launches".to_owned(),
            || {
                let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("uniforms"),
                    size: self.uniform_words.len() as u64 * 4,
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                gpu.queue
                    .write_buffer(&buffer, 0, bytemuck::cast_slice(&self.uniform_words));
                gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("uniforms"),
                    layout: &gpu.uniform_layout,
                    entries: &[wgpu::BindGroupEntry {
                        binding: 0,
                        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                            buffer: &buffer,
                            offset: 0,
                            size: NonZeroU64::new(UNIFORM),
                        }),
                    }],
                })
            },
        )
    }
}

fn storage_entry(place: usize, read_only: bool) -> wgpu::BindGroupLayoutEntry {
    layout_entry(
        place as u32,
        wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
    )
}

pub(super) fn layout_entry(binding: u32, ty: wgpu::BindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty,
        count: None,
    }
}
