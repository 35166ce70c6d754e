//! Times of launches, from events on both sides of each.

use std::sync::Arc;

use super::driver::{Context, Event, Stream};
use crate::backend::profile::Span;
use crate::error::Result;

/// Events for the launches of one submission at a time.
#[derive(Debug)]
pub(super) struct Clock {
    /// Before and behind each launch.
    events: Vec<[Event; 2]>,
    /// The beginnings of this submission and of the one before, which take turns.
    origins: [Event; 2],
    current: usize,
    /// When this submission began, in seconds since the first; none before that.
    begun: Option<f64>,
    pub spans: Vec<Span>,
}

impl Clock {
    pub fn new(context: &Arc<Context>) -> Result<Self> {
        Ok(Self {
            events: Vec::new(),
            origins: [Event::new(context, true)?, Event::new(context, true)?],
            current: 0,
            begun: None,
            spans: Vec::new(),
        })
    }

    /// Makes ready for so many launches and marks where they begin.
    pub fn begin(&mut self, launches: usize, context: &Arc<Context>, stream: &Stream) -> Result<()> {
        while self.events.len() < launches {
            self.events
                .push([Event::new(context, true)?, Event::new(context, true)?]);
        }
        self.current = 1 - self.current;
        self.origins[self.current].record(stream)
    }

    /// Marks one side of a launch: 0 before, 1 behind.
    pub fn mark(&self, launch: usize, side: usize, stream: &Stream) -> Result<()> {
        self.events[launch][side].record(stream)
    }

    /// Adds the spans of the launches of a submission, by their places, when the stream is done.
    pub fn end(&mut self, places: &[usize], runs: usize) -> Result<()> {
        let origin = &self.origins[self.current];
        let begun = match self.begun {
            Some(begun) => begun + origin.seconds_since(&self.origins[1 - self.current])?,
            None => 0.0,
        };
        self.begun = Some(begun);
        for (place, [before, behind]) in places.iter().zip(&self.events) {
            self.spans.push(Span {
                launch: *place,
                runs,
                start: begun + before.seconds_since(origin)?,
                seconds: behind.seconds_since(before)?,
            });
        }
        Ok(())
    }
}
