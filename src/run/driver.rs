//! Upper testers: whatever makes a client under test act. What they acknowledge is never evidence;
//! only messages on the wire are.

use tokio::task::JoinHandle;

use crate::check::Checker;
use crate::peer::Credentials;
use crate::peer::client::ClientConfig;
use crate::peer::fault::Fault;
use crate::peer::names::Names;
use crate::spec::{Command, Version};
use crate::transport::client::Address;

use super::clock::Clock;
use super::driver_process::DriverProcess;
use super::prompt::Person;
use super::reference::EmbeddedClient;

/// What an upper tester is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Take these settings for the next login.
    Configure(Settings),
    /// Become a client that is not logged in.
    Reset,
    /// Do what a user asks for.
    Act(Command),
}

/// What a client is set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the server is.
    pub url: String,
    /// The version to speak.
    pub version: Version,
    /// Who logs in.
    pub credentials: Credentials,
    /// ClientID/URL, where the client can choose.
    pub client_id: String,
}

impl Settings {
    /// Who and what the commands are about.
    pub fn names(&self) -> Names {
        Names::of_client(&self.credentials.user)
    }
}

/// How an order went, as the upper tester says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ack {
    /// The action was carried out.
    Done,
    /// There is no such action; why, or empty.
    Unsupported(String),
    /// It could not be carried out.
    Failed(String),
    /// There is nobody any more who could.
    Dead(String),
}

impl Ack {
    /// Why the order was not carried out.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Ack::Done => None,
            Ack::Unsupported(why) | Ack::Failed(why) | Ack::Dead(why) => Some(why),
        }
    }
}

/// Makes the client under test act. One order at a time: [`UpperTester::begin`], then
/// [`UpperTester::ack`].
#[derive(Debug)]
pub enum UpperTester {
    /// The client of the suite, in this process.
    Embedded(Box<EmbeddedTester>),
    /// A driver process.
    Process(Box<DriverProcess>),
    /// A person at the device.
    Person(Box<Person>),
}

impl UpperTester {
    /// Begins to carry out an order.
    pub fn begin(&mut self, order: &Order) {
        match self {
            Self::Embedded(tester) => tester.begin(order),
            Self::Process(driver) => driver.begin(order),
            Self::Person(person) => person.begin(order),
        }
    }

    /// How the order that was begun went. May be dropped and asked again; always ends, each kind has
    /// a time limit of its own.
    pub async fn ack(&mut self) -> Ack {
        match self {
            Self::Embedded(tester) => tester.ack().await,
            Self::Process(driver) => driver.ack().await,
            Self::Person(person) => person.ack().await,
        }
    }

    /// What it said besides, for people.
    pub fn notices(&mut self) -> Vec<String> {
        match self {
            Self::Embedded(_) | Self::Person(_) => Vec::new(),
            Self::Process(driver) => driver.notices(),
        }
    }
}

/// The client of the suite, carried out in a task of its own so that its messages can be answered.
#[derive(Debug)]
pub struct EmbeddedTester {
    client: std::sync::Arc<tokio::sync::Mutex<EmbeddedClient>>,
    task: Option<JoinHandle<()>>,
    asked: std::sync::Arc<std::sync::Mutex<Vec<Order>>>,
}

impl Drop for EmbeddedTester {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl EmbeddedTester {
    /// A client that is not logged in.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(
        settings: &Settings,
        server: &Address,
        cookie: String,
        fault: Option<Fault>,
        clock: Clock,
        checker: std::sync::Arc<Checker>,
    ) -> Result<Self, String> {
        let client = EmbeddedClient::new(client_config(settings, cookie), server, fault, clock, checker)?;
        Ok(Self {
            client: std::sync::Arc::new(tokio::sync::Mutex::new(client)),
            task: None,
            asked: std::sync::Arc::default(),
        })
    }

    /// What it is asked from now on, for plans.
    pub fn asked(&self) -> std::sync::Arc<std::sync::Mutex<Vec<Order>>> {
        std::sync::Arc::clone(&self.asked)
    }

    fn begin(&mut self, order: &Order) {
        if let Ok(mut asked) = self.asked.lock() {
            asked.push(order.clone());
        }
        let client = std::sync::Arc::clone(&self.client);
        let command = match order {
            // It is made with its settings.
            Order::Configure(_) => return,
            // Asked only in plans: a logout leaves nothing behind.
            Order::Reset => Command::Logout,
            Order::Act(command) => *command,
        };
        self.task = Some(tokio::spawn(async move {
            client.lock().await.command(command).await;
        }));
    }

    async fn ack(&mut self) -> Ack {
        if let Some(task) = self.task.as_mut() {
            // It waits for every answer: what it sent has arrived when it is done.
            let _ = task.await;
            self.task = None;
        }
        Ack::Done
    }
}

/// What the embedded client is made with.
pub fn client_config(settings: &Settings, cookie: String) -> ClientConfig {
    ClientConfig {
        version: settings.version,
        credentials: settings.credentials.clone(),
        client_id: settings.client_id.clone(),
        cookie,
        time_to_live: 600,
        id_prefix: "c".to_owned(),
        names: settings.names(),
    }
}
