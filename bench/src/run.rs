//! One run of the benchmark: what is measured, how long, and where the data lies.
//!
//! Made by the command line and lent to every measurement. Each measurement gets fresh copies of
//! the seeds, in a folder that disappears with the run; the folder lies on a real disk, because
//! durable writes on a memory file system would mean nothing. On two processors the servers get
//! the first and the generator the rest, so that neither measures the other.

use super::process::{Launch, Server};
use super::report::{Failure, broken};
use super::seed::{Shape, generate};
use campfire::server::operation::Durability;
use clap::ValueEnum;
use std::cell::RefCell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What every measurement needs.
pub struct Run {
    /// The product's binary.
    pub product: PathBuf,
    /// How often everything is repeated.
    pub rounds: usize,
    /// How long one round of one row lasts.
    pub time: Duration,
    /// Whether servers and generator have processors of their own.
    pub pinned: bool,
    /// The product's log filter.
    pub log: String,
    folder: TempDir,
    seeds: RefCell<Vec<Shape>>,
}

impl Run {
    /// A run whose data lies in a new folder below `parent`.
    ///
    /// # Errors
    /// [`Failure::Broken`] when the folder cannot be made.
    pub fn new(product: PathBuf, parent: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(parent)?;
        let seeds = RefCell::new(Vec::new());
        let (rounds, time) = (3, Duration::from_secs(2));
        let log = "info".to_owned();
        Ok(Self { product, rounds, time, pinned: false, log, folder, seeds })
    }

    /// The same data for another program: seeds are shared, everything else is its own.
    pub fn switch_product(&mut self, product: PathBuf) {
        self.product = product;
    }

    /// A database of a shape for one measurement alone.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it cannot be written.
    pub async fn fresh(&self, shape: Shape) -> Result<TempDir, Failure> {
        let seed = self.folder.path().join(format!("seed-{shape:?}").to_lowercase());
        if !self.seeds.borrow().contains(&shape) {
            let started = Instant::now();
            generate(shape, &seed).await?;
            self.seeds.borrow_mut().push(shape);
            let took = started.elapsed().as_secs_f64();
            super::say(&format!("  seed {shape:?}: written in {took:.1} s"));
        }
        let copy = self.scratch()?;
        for entry in fs::read_dir(&seed)? {
            let entry = entry?;
            let target = copy.path().join(entry.file_name());
            fs::copy(entry.path(), &target)?;
            // Otherwise the first commits would wait for these bytes.
            fs::File::open(&target)?.sync_all()?;
        }
        Ok(copy)
    }

    /// An empty folder for one measurement alone.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it cannot be made.
    pub fn scratch(&self) -> Result<TempDir, Failure> {
        Ok(tempfile::Builder::new().prefix("data-").tempdir_in(self.folder.path())?)
    }

    /// Processors for servers, if they have some of their own.
    pub fn server_processors(&self) -> Option<&'static str> {
        self.pinned.then_some("0")
    }

    /// How the product is started on a folder.
    pub fn product_launch(
        &self,
        data: &Path,
        durability: Durability,
        addr: Option<SocketAddr>,
    ) -> Launch<'_> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let word = durability.to_possible_value();
        let word = word.map(|value| value.get_name().to_owned()).unwrap_or_default();
        Launch {
            program: &self.product,
            arguments: Vec::new(),
            environment: vec![
                ("CAMPFIRE_ADDR", addr.unwrap_or(any).to_string()),
                ("CAMPFIRE_DATA", data.display().to_string()),
                ("CAMPFIRE_DURABILITY", word),
                ("CAMPFIRE_LIMITS", "off".to_owned()),
                ("CAMPFIRE_LOG", self.log.clone()),
            ],
            processors: self.server_processors(),
            log: self.folder.path().join("product.log"),
        }
    }

    /// The product, running on a folder.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it does not start.
    pub async fn product(&self, data: &Path, durability: Durability) -> Result<Server, Failure> {
        self.product_launch(data, durability, None).serve().await
    }

    /// How a limit server is started: this very program, with other arguments.
    ///
    /// # Errors
    /// [`Failure::Broken`] when this program cannot be found.
    pub fn limit_launch<'a>(&self, itself: &'a Path, arguments: &[&str]) -> Launch<'a> {
        let arguments = ["limit"].iter().chain(arguments).map(|text| (*text).to_owned());
        Launch {
            program: itself,
            arguments: arguments.collect(),
            environment: Vec::new(),
            processors: self.server_processors(),
            log: self.folder.path().join("limit.log"),
        }
    }

    /// A running limit server.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it does not start.
    pub async fn limit(&self, arguments: &[&str]) -> Result<Server, Failure> {
        self.limit_launch(&itself()?, arguments).serve().await
    }

    /// Refuses a debug build, and a product that does not run at all.
    ///
    /// # Errors
    /// [`Failure::Broken`] with the reason.
    pub async fn ensure_release(&self) -> Result<String, Failure> {
        let said = tokio::process::Command::new(&self.product).arg("--version").output().await;
        let said = said
            .map_err(|error| Failure::Broken(format!("{} cannot be run: {error}", self.product.display())))?;
        let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if version.contains("debug") {
            return broken(format!("{} is a debug build: {version}", self.product.display()));
        }
        Ok(version)
    }
}

/// This program.
///
/// # Errors
/// [`Failure::Broken`] when it cannot be found.
pub fn itself() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?)
}
