//! What a client is asked on its Telemetry stream for an administrator, and its answers.
//!
//! A question has a number, the protocol's nonce, under which the answer comes back. Only the client that
//! was asked can answer, once, in time, and with an answer to what it was asked; whatever else comes is
//! dropped. Which of its streams the question goes to is the mailbox's business.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use litemq_domain::{ClientId, Error, ErrorCode, Result};
use litemq_protocol::v2;
use tokio::sync::oneshot;
use tokio::time::timeout;
use v2::telemetry_command::Command;

use super::limits::{QUESTION_WAIT_MAX, QUESTIONS_MAX};
use crate::broker::Sessions;

/// What a client can be asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// What its threads are doing.
    StackTrace,
    /// To consume a message once more.
    Consume(Box<v2::Message>),
}

/// What it can answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// What its threads are doing; Java gives text for people.
    StackTrace(Option<String>),
    /// How the message was consumed.
    Consumed(v2::Status),
}

/// The questions that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// Questions so far; a number is never used again.
    count: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    client: ClientId,
    question: Question,
    answer: oneshot::Sender<Answer>,
}

/// A question is open while this lives: also one whose asker went away is forgotten.
#[derive(Debug)]
struct Asking<'a> {
    number: u64,
    questions: &'a Questions,
}

impl Questions {
    /// Asks a client and waits for its answer, [`QUESTION_WAIT_MAX`] at most.
    ///
    /// # Errors
    /// [`ErrorCode::ClientNotFound`] when it has no stream, [`ErrorCode::ClientSilent`] when it does not
    /// answer, [`ErrorCode::Overloaded`] when too much is asked at a time.
    pub(super) async fn ask(
        &self,
        sessions: &Sessions,
        client: &ClientId,
        question: Question,
    ) -> Result<Answer> {
        let (asking, answer) = self.open(client, question)?;
        let id = client.as_str().escape_debug();
        if !sessions.ask(client, asking.number) {
            let text = format!("client '{id}' has no Telemetry stream on which it could be asked");
            return Err(Error::new(ErrorCode::ClientNotFound, text));
        }
        match timeout(QUESTION_WAIT_MAX, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Error::new(
                ErrorCode::ClientSilent,
                format!(
                    "client '{id}' did not answer in {} s; not every SDK answers every question",
                    QUESTION_WAIT_MAX.as_secs()
                ),
            )),
        }
    }

    fn open(
        &self,
        client: &ClientId,
        question: Question,
    ) -> Result<(Asking<'_>, oneshot::Receiver<Answer>)> {
        let mut asked = self.lock();
        if asked.open.len() >= QUESTIONS_MAX {
            return Err(Error::new(
                ErrorCode::Overloaded,
                "too many clients are being asked something at the moment; try again shortly",
            ));
        }
        asked.count += 1;
        let (number, (answer, answered)) = (asked.count, oneshot::channel());
        asked.open.insert(number, Open { client: client.clone(), question, answer });
        Ok((Asking { number, questions: self }, answered))
    }

    /// A question as the protocol puts it; nothing when nobody waits for the answer any more.
    pub(super) fn command(&self, number: u64) -> Option<Command> {
        let question = self.lock().open.get(&number)?.question.clone();
        let nonce = number.to_string();
        Some(match question {
            Question::StackTrace => {
                Command::PrintThreadStackTraceCommand(v2::PrintThreadStackTraceCommand { nonce })
            }
            Question::Consume(message) => Command::VerifyMessageCommand(v2::VerifyMessageCommand {
                nonce,
                message: Some(*message),
            }),
        })
    }

    /// A client answers.
    pub(super) fn answered(&self, client: &ClientId, nonce: &str, answer: Answer) {
        let Ok(number) = nonce.parse() else { return };
        let mut asked = self.lock();
        let suits = |open: &Open| open.client == *client && answer.suits(&open.question);
        if asked.open.get(&number).is_some_and(suits)
            && let Some(open) = asked.open.remove(&number)
        {
            // The asker may have gone away; then nobody needs the answer.
            drop(open.answer.send(answer));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn suits(&self, question: &Question) -> bool {
        match self {
            Self::StackTrace(_) => matches!(question, Question::StackTrace),
            Self::Consumed(_) => matches!(question, Question::Consume(_)),
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.questions.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str) -> ClientId {
        ClientId::new(id).unwrap()
    }

    fn trace(text: &str) -> Answer {
        Answer::StackTrace(Some(text.to_owned()))
    }

    #[test]
    fn only_the_client_that_was_asked_answers_once_and_to_the_point() {
        let questions = Questions::default();
        let (asking, mut answer) = questions.open(&client("a"), Question::StackTrace).unwrap();
        let nonce = asking.number.to_string();
        questions.answered(&client("b"), &nonce, trace("forged"));
        questions.answered(&client("a"), &nonce, Answer::Consumed(v2::Status::default()));
        for wrong in ["", "-1", "x", "99999999999999999999", "7"] {
            questions.answered(&client("a"), wrong, trace("lost"));
        }
        assert!(answer.try_recv().is_err());
        questions.answered(&client("a"), &nonce, trace("main"));
        questions.answered(&client("a"), &nonce, trace("again"));
        assert_eq!(answer.try_recv(), Ok(trace("main")));
    }

    #[test]
    fn a_question_that_nobody_waits_for_is_not_put() {
        let questions = Questions::default();
        let (asking, _answer) = questions.open(&client("a"), Question::StackTrace).unwrap();
        let number = asking.number;
        assert!(questions.command(number).is_some());
        drop(asking);
        assert!(questions.command(number).is_none());
        assert!(questions.lock().open.is_empty());
    }

    #[test]
    fn so_many_questions_are_open_and_no_more() {
        let questions = Questions::default();
        let ask = || questions.open(&client("a"), Question::StackTrace);
        let mut open: Vec<_> = (0..QUESTIONS_MAX).map(|_| ask().unwrap()).collect();
        assert_eq!(ask().unwrap_err().code, ErrorCode::Overloaded);
        open.pop();
        assert!(ask().is_ok());
    }
}
