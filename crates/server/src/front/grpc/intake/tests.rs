use std::collections::VecDeque;

use super::*;

/// A body that comes frame by frame; at the end it stays open.
#[derive(Debug)]
struct Parts {
    frames: VecDeque<Bytes>,
    ends: bool,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

const TIME_MAX: Duration = Duration::from_secs(30);

fn limits(is_stream: bool) -> IntakeLimits {
    let shape = Shape::Entries;
    IntakeLimits { message_bytes_max: 1000, time_max: TIME_MAX, is_stream, shape }
}

fn intake(
    pool: &Arc<Pool>,
    frames: &[&[u8]],
    ends: bool,
    limits: IntakeLimits,
) -> WholeMessages<Parts> {
    let frames = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
    WholeMessages::of(Parts { frames, ends }, limits, Held::of(pool))
}

async fn next<B>(intake: &mut WholeMessages<B>) -> Option<Result<Bytes, Status>>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let frame = std::future::poll_fn(|context| Pin::new(&mut *intake).poll_frame(context)).await?;
    Some(match frame {
        Ok(frame) => Ok(frame.into_data().unwrap()),
        Err(error) => Err(*error.downcast::<Status>().unwrap()),
    })
}

fn message(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[0], &len[..], content].concat()
}

#[tokio::test]
async fn a_message_is_handed_on_when_it_is_whole_and_held_until_the_answer_is() {
    let pool = Pool::new(1000);
    let whole = message(b"12345678");
    let (start, end) = whole.split_at(7);
    let mut intake = intake(&pool, &[start, end], true, limits(false));
    assert_eq!(next(&mut intake).await.unwrap().unwrap(), whole);
    assert!(next(&mut intake).await.is_none());
    let held = Arc::clone(&intake.held);
    drop(intake);
    assert!(pool.used() >= whole.len());
    drop(held);
    assert_eq!(pool.used(), 0);
}

#[tokio::test]
async fn bytes_that_do_not_fit_beside_those_of_others_are_refused() {
    let pool = Pool::new(20);
    let _others = pool.try_take(10).unwrap();
    let mut intake = intake(&pool, &[&message(b"12345678")], true, limits(false));
    let refused = next(&mut intake).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    drop(intake);
    assert_eq!(pool.used(), 10);
}

#[tokio::test]
async fn a_message_counts_as_large_as_it_will_be() {
    let pool = Pool::new(10_000);
    let empties = message(&[0x1a, 0].repeat(100));
    let mut intake = intake(&pool, &[&empties], true, limits(false));
    let refused = next(&mut intake).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
}

#[tokio::test]
async fn a_declaration_beyond_the_limit_is_refused_before_anything_comes() {
    let pool = Pool::new(10_000);
    for len in [1001u32, u32::MAX] {
        let prefix = [&[0][..], &len.to_be_bytes()].concat();
        let mut intake = intake(&pool, &[&prefix], false, limits(false));
        let refused = next(&mut intake).await.unwrap().unwrap_err();
        assert_eq!(refused.code(), tonic::Code::OutOfRange);
    }
}

/// Time is paused: it jumps ahead as soon as nothing but time can happen.
#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_come_in_time_is_given_up() {
    let pool = Pool::new(1000);
    let whole = message(b"12345678");
    for came in [&whole[..0], &whole[..3], &whole[..8]] {
        let started = Instant::now();
        let mut intake = intake(&pool, &[came], false, limits(false));
        let late = next(&mut intake).await.unwrap().unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(started.elapsed(), TIME_MAX, "{came:?}");
    }
    assert_eq!(pool.used(), 0);
}

/// A body of small messages without end, each of which comes after a pause.
#[derive(Debug)]
struct Drip(Pin<Box<Sleep>>, Duration);

impl Body for Drip {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        ready!(self.0.as_mut().poll(context));
        let next = Instant::now() + self.1;
        self.0.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(message(b"1").into()))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_has_one_deadline_however_many_messages_come() {
    for pause in [TIME_MAX - Duration::from_millis(1), TIME_MAX / 7, Duration::from_millis(1)] {
        let pool = Pool::new(1_000_000);
        let started = Instant::now();
        let body = Drip(Box::pin(sleep_until(started + pause)), pause);
        let mut intake = WholeMessages::of(body, limits(false), Held::of(&pool));
        let late = loop {
            if let Err(late) = next(&mut intake).await.unwrap() {
                break late;
            }
            assert!(started.elapsed() <= TIME_MAX, "a message every {pause:?}");
        };
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(started.elapsed(), TIME_MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_keep_coming_do_not_hide_that_the_time_is_over() {
    let pool = Pool::new(10_000);
    let one = message(b"1");
    let mut intake = intake(&pool, &[&one, &one], false, limits(false));
    assert!(next(&mut intake).await.unwrap().is_ok());
    tokio::time::advance(TIME_MAX + Duration::from_millis(1)).await;
    let late = next(&mut intake).await.unwrap().unwrap_err();
    assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_be_silent_between_messages_and_not_within_one() {
    let pool = Pool::new(10_000);
    let whole = message(b"12345678");
    let mut quiet = intake(&pool, &[&whole], false, limits(true));
    assert_eq!(next(&mut quiet).await.unwrap().unwrap(), whole);
    let silence = tokio::time::timeout(TIME_MAX * 10, next(&mut quiet)).await;
    assert!(silence.is_err(), "the stream was given up");
    assert_eq!(pool.used(), 0, "what is answered is not held");

    let mut long = WholeMessages::of(
        Drip(Box::pin(sleep_until(Instant::now() + TIME_MAX)), TIME_MAX),
        limits(true),
        Held::of(&pool),
    );
    let started = Instant::now();
    while started.elapsed() < TIME_MAX * 3 {
        assert!(next(&mut long).await.unwrap().is_ok());
    }

    let mut broken = intake(&pool, &[&whole, &whole[..6]], false, limits(true));
    assert!(next(&mut broken).await.unwrap().is_ok());
    let late = next(&mut broken).await.unwrap().unwrap_err();
    assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_body_that_ends_within_a_message_reserves_nothing() {
    let pool = Pool::new(1000);
    let mut intake = intake(&pool, &[&message(&[7; 100])[..20]], true, limits(false));
    assert!(next(&mut intake).await.unwrap().unwrap().len() < PREFIX_BYTES);
    assert!(next(&mut intake).await.is_none());
}

#[tokio::test]
async fn what_never_fits_is_told_from_what_may_fit_later() {
    let pool = Pool::new(10_000);
    let of_entries = |count: usize| message(&[0x0a, 0].repeat(count));
    let mut large = intake(&pool, &[&of_entries(400)], true, limits(false));
    let refused = next(&mut large).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
    drop(large);

    let others = pool.try_take(9_900).unwrap();
    let mut small = intake(&pool, &[&of_entries(10)], true, limits(false));
    let refused = next(&mut small).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    drop((small, others));
    let mut small = intake(&pool, &[&of_entries(10)], true, limits(false));
    assert!(next(&mut small).await.unwrap().is_ok());
}
