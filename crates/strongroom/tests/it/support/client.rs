//! Callers that act at the same moment.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use serde_json::Value;
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinHandle;

use super::{Answer, Shop, send};

/// A caller with a key, apart from the shop, so that many can call from many threads. Drop them
/// before [`Shop::stop`]: each keeps the installation open.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    key: String,
}

impl Shop {
    /// A caller with the key of a role.
    pub(crate) fn client(&self, role: &str) -> Client {
        self.client_with(&self.keys[role])
    }

    /// A caller with this key.
    pub(crate) fn client_with(&self, key: &str) -> Client {
        Client { router: self.router(), key: key.to_owned() }
    }
}

impl Client {
    /// A call for the purpose `support`.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    /// The same with more headers.
    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let key = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", key.as_str()), ("strongroom-purpose", "support")];
        all.extend_from_slice(headers);
        send(self.router.clone(), method, path, body, &all, false).await
    }
}

impl Client {
    /// A call with exactly these headers beside the key, none of them given twice.
    pub(crate) async fn call_plain(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let key = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", key.as_str())];
        all.extend_from_slice(headers);
        send(self.router.clone(), method, path, body, &all, false).await
    }
}

/// Runs all of these from one moment on, each on a task of its own; what they come to, in order.
pub(crate) async fn together<F>(acts: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let acts: Vec<F> = acts.into_iter().collect();
    let start = Arc::new(Barrier::new(acts.len()));
    let begin = |act: F| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            act.await
        })
    };
    let tasks: Vec<JoinHandle<F::Output>> = acts.into_iter().map(begin).collect();
    let mut done = Vec::with_capacity(tasks.len());
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

/// Callers that do the same again and again until they are told to stop.
pub(crate) struct Readers {
    answered: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Readers {
    /// So many, each with the call that its number makes.
    pub(crate) fn start<C, F>(number: usize, call: impl Fn(usize) -> C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send,
    {
        let (answered, refused) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..number).map(|number| {
            let (answered, refused) = (Arc::clone(&answered), Arc::clone(&refused));
            let (stop, call) = (Arc::clone(&stop), call(number));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let count = if call().await.status.is_success() { &answered } else { &refused };
                    count.add_permits(1);
                    tokio::task::yield_now().await;
                }
            })
        });
        let tasks = tasks.collect();
        Self { answered, refused, stop, tasks }
    }

    /// Waits until so many more calls were answered.
    pub(crate) async fn answered(&self, calls: u32) {
        self.answered.acquire_many(calls).await.unwrap().forget();
    }

    /// Waits until so many more calls were refused.
    pub(crate) async fn refused(&self, calls: u32) {
        self.refused.acquire_many(calls).await.unwrap().forget();
    }

    /// Lets each finish what it does.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}
