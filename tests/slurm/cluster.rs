//! A Slurm of one machine: munged, slurmctld and slurmd from Debian's packages, with all their files in one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The daemons, ended when this is dropped.
pub struct Cluster {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    /// Starts it; why it cannot be, if so.
    pub fn start() -> Result<Self, String> {
        for daemon in ["munged", "slurmctld", "slurmd"] {
            let found = ["/usr/sbin", "/usr/local/sbin"]
                .iter()
                .any(|dir| Path::new(dir).join(daemon).exists());
            if !found {
                return Err(format!("{daemon} is not installed (packages slurm-wlm and munge)"));
            }
        }
        let id = Command::new("id").arg("-u").output().map_err(|e| e.to_string())?;
        if id.stdout != b"0\n" {
            return Err("the daemons need root".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let mut cluster = Self {
            folder,
            daemons: Vec::new(),
        };
        cluster.write_configuration()?;
        cluster.start_munged()?;
        cluster.daemon("slurmctld", &["-D", "-i"])?;
        cluster.daemon("slurmd", &["-D"])?;
        cluster.wait_until_idle()?;
        Ok(cluster)
    }

    /// A command that talks to this Slurm.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.conf()).stdin(Stdio::null());
        command
    }

    /// What a command prints.
    pub fn told(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the daemons wrote.
    pub fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("slurmctld:\n{}\nslurmd:\n{}", read("slurmctld.log"), read("slurmd.log"))
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn write_configuration(&self) -> Result<(), String> {
        let host = Command::new("hostname").arg("-s").output().map_err(|e| e.to_string())?;
        let host = String::from_utf8_lossy(&host.stdout).trim().to_owned();
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let dir = self.folder.path();
        for name in ["state", "spool"] {
            fs::create_dir(dir.join(name)).map_err(|e| e.to_string())?;
        }
        let dir = dir.display();
        // Ports of its own, away from those of a Slurm that the machine may be part of.
        let text = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\n\
             AuthInfo=socket={dir}/munge.socket\n\
             SlurmctldPort=16817\nSlurmdPort=16818\nStateSaveLocation={dir}/state\nSlurmdSpoolDir={dir}/spool\n\
             SlurmctldPidFile={dir}/slurmctld.pid\nSlurmdPidFile={dir}/slurmd.pid\n\
             SlurmctldLogFile={dir}/slurmctld.log\nSlurmdLogFile={dir}/slurmd.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SwitchType=switch/none\nMpiDefault=none\nReturnToService=2\nKillWait=5\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=100 State=UNKNOWN\n\
             PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP\n"
        );
        fs::write(self.conf(), text).map_err(|e| e.to_string())
    }

    fn start_munged(&mut self) -> Result<(), String> {
        let dir = self.folder.path();
        let key = dir.join("munge.key");
        fs::write(&key, [7u8; 64]).map_err(|e| e.to_string())?;
        let path = |name: &str| dir.join(name).display().to_string();
        let flags = [
            "--foreground".to_owned(),
            "--force".to_owned(),
            format!("--key-file={}", key.display()),
            format!("--socket={}", path("munge.socket")),
            format!("--pid-file={}", path("munged.pid")),
            format!("--seed-file={}", path("munged.seed")),
            format!("--log-file={}", path("munged.log")),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.daemon("munged", &flags)?;
        let socket = self.folder.path().join("munge.socket");
        let begin = Instant::now();
        while !socket.exists() {
            if begin.elapsed() > Duration::from_secs(20) {
                return Err("munged does not listen".to_owned());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = self.command(&format!("/usr/sbin/{program}"));
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons
            .push(command.spawn().map_err(|e| format!("{program}: {e}"))?);
        Ok(())
    }

    fn wait_until_idle(&self) -> Result<(), String> {
        let begin = Instant::now();
        while !self.told("sinfo", &["-h", "-o", "%T"]).contains("idle") {
            if begin.elapsed() > Duration::from_secs(60) {
                return Err(format!("the node does not become idle\n{}", self.logs()));
            }
            thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // No job may outlive the daemons: what steps they left would have nobody to end them.
        self.told("scancel", &["--full", "--state=RUNNING"]);
        self.told("scancel", &["--state=PENDING"]);
        let begin = Instant::now();
        while !self.told("squeue", &["-h"]).trim().is_empty() && begin.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(300));
        }
        self.told("scontrol", &["shutdown"]);
        thread::sleep(Duration::from_secs(1));
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
