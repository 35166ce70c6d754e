//! The `gmatrix` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    quieten_device_selection();
    gmatrix::cli::main()
}

/// Mesa's device-select layer asks the Wayland display which GPU is its own; where no session runs, libwayland prints that
/// as an error among ours.
fn quieten_device_selection() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: nothing else runs yet that could read the environment.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
