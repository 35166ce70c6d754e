//! Whole runs on wgpu, on whatever adapter there is (Mesa's lavapipe will do). Its kernels are tested in `tests/kernels`.
#![cfg(all(feature = "wgpu", feature = "record"))]

mod ahead;
mod limits;
mod measured;
mod support;
mod training;

use std::sync::Once;

/// Mesa's device-select layer asks the Wayland display which GPU is its own; where no session runs, libwayland prints
/// that as an error.
fn quieten_device_selection() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            // SAFETY: every test passes here before it asks for an adapter, and nothing before that reads the environment
            // but through the standard library, which locks it.
            unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
        }
    });
}

/// Whether there is an adapter. Where there is none the test says so and passes, unless `GMATRIX_REQUIRE` asks for wgpu.
fn supported() -> bool {
    quieten_device_selection();
    match gmatrix::backend::wgpu::probe() {
        Ok(_) => true,
        Err(reason) => {
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|r| r.trim() == "wgpu"),
                "wgpu is required: {reason}"
            );
            println!("Unsupported: {reason}");
            false
        }
    }
}
