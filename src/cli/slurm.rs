//! A sweep as a Slurm job array: one task for each shard.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::args::SweepArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::sweep::SweepDirectory;

/// Name of the job script in a sweep's directory.
const SCRIPT: &str = "slurm.sh";
/// Name of the folder with what the tasks print.
const LOGS: &str = "slurm";

/// Writes the job script and submits it; with `--wait`, returns when all tasks have ended, whatever became of them.
pub(super) fn submit(args: &SweepArgs, tasks: u32, directory: &SweepDirectory) -> Result<()> {
    let dir = directory.path();
    let dir = dir.canonicalize().map_err(|e| Error::io(dir, e))?;
    let logs = dir.join(LOGS);
    fs::create_dir_all(&logs).map_err(|e| Error::io(&logs, format!("cannot be created: {e}")))?;
    let program =
        std::env::current_exe().map_err(|e| Error::io("gmatrix", format!("its own path is not known: {e}")))?;
    let script = dir.join(SCRIPT);
    let profile = if args.profile { " --profile" } else { "" };
    let flags = format!("--backend {} --quiet{profile}", args.backend.name());
    let text = script_text(&program, &dir, tasks, &args.sbatch, &flags);
    files::replace(&script, |file| file.write_all(text.as_bytes()))?;

    let mut sbatch = Command::new("sbatch");
    if args.wait {
        sbatch.arg("--wait");
    }
    let status = sbatch.arg(&script).stdin(Stdio::null()).status().map_err(|e| {
        Error::io(
            "sbatch",
            format!("cannot be run: {e}; --slurm needs Slurm's commands on the path"),
        )
    })?;
    // Waiting gives the worst of the tasks' codes; what became of the runs says more.
    if status.success() || args.wait {
        Ok(())
    } else {
        Err(Error::device(format!("sbatch {}: {status}", script.display())))
    }
}

/// The job script. A task that is requeued goes on from the checkpoints of its runs.
fn script_text(program: &Path, dir: &Path, tasks: u32, options: &[String], flags: &str) -> String {
    let logs = dir.join(LOGS).join("%a.log");
    let mut text = format!(
        "#!/bin/sh\n#SBATCH --job-name=gmatrix\n#SBATCH --array=1-{tasks}\n#SBATCH --requeue\n#SBATCH --open-mode=append\n\
         #SBATCH --output={}\n",
        option_value(&logs)
    );
    for option in options {
        text += &format!("#SBATCH {option}\n");
    }
    text + &format!(
        "exec {} sweep {} --out {} {flags} --shard \"$SLURM_ARRAY_TASK_ID/{tasks}\"\n",
        quoted(program),
        quoted(&dir.join("sweep.toml")),
        quoted(dir)
    )
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A path in an option of a job script, which knows double quotes and backslashes.
fn option_value(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
        let text = script_text(
            Path::new("/bin/gmatrix"),
            Path::new("/a b"),
            3,
            &["--time=60".to_owned()],
            "--backend cpu --quiet",
        );
        assert!(
            text.contains("#SBATCH --output=\"/a b/slurm/%a.log\"\n#SBATCH --time=60\n"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "exec '/bin/gmatrix' sweep '/a b/sweep.toml' --out '/a b' --backend cpu --quiet --shard \"$SLURM_ARRAY_TASK_ID/3\"\n"
            ),
            "{text}"
        );
    }
}
