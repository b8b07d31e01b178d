//! When a device says that it can be read, and where.

use std::future::poll_fn;
use std::io;
use std::pin::pin;

use tapline_device::{Device, Unit};
use tapline_frame::Mode;
use tokio::time::{Duration, timeout};

use crate::harness::{
    Collected, PATIENCE, PacketSocket, device, experimental_frame, in_namespace, plain, readable, run,
    runtime,
};

/// A tap without IPv6, so that the kernel sends nothing of its own.
fn quiet_tap() -> tapline_device::KernelDevice {
    let tap = device(Mode::Ethernet, Unit::Any);
    std::fs::write("/proc/sys/net/ipv6/conf/tap0/disable_ipv6", "1").unwrap();
    run("ip link set tap0 up");
    tap
}

#[test]
fn readiness_lasts_until_the_device_is_empty() {
    in_namespace(|| {
        let mut tap = quiet_tap();
        let socket = PacketSocket::on("tap0");
        runtime().block_on(async {
            assert_pending(&mut tap).await;
            for length in [60, 61, 62] {
                socket.send(&experimental_frame(length));
            }
            for wanted in [1, 1] {
                readable(&mut tap).await.unwrap();
                assert_eq!(tap.read_batch(&mut Collected::up_to(wanted)).unwrap(), 1);
            }
            readable(&mut tap).await.unwrap();
            let mut rest = Collected::up_to(10);
            assert_eq!(tap.read_batch(&mut rest).unwrap(), 1);
            assert_eq!(rest.frames[0].1, experimental_frame(62));
            assert_eq!(tap.read_batch(&mut rest).unwrap(), 0);
            assert_pending(&mut tap).await;
            socket.send(&experimental_frame(63));
            readable(&mut tap).await.unwrap();
        });
        drop(tap);
    });
}

#[test]
fn a_detached_device_is_polled_by_another_runtime() {
    in_namespace(|| {
        let mut tap = quiet_tap();
        let socket = PacketSocket::on("tap0");
        for length in [60, 61] {
            let runtime = runtime();
            runtime.block_on(async {
                assert_pending(&mut tap).await;
                socket.send(&experimental_frame(length));
                readable(&mut tap).await.unwrap();
                assert_eq!(tap.read_batch(&mut Collected::up_to(10)).unwrap(), 1);
            });
            tap.detach();
        }
    });
}

#[test]
fn a_device_outlives_a_runtime_that_ended_first() {
    in_namespace(|| {
        let mut tap = quiet_tap();
        let first = runtime();
        first.block_on(assert_pending(&mut tap));
        drop(first);
        tap.detach();
        let socket = PacketSocket::on("tap0");
        socket.send(&experimental_frame(60));
        runtime().block_on(readable(&mut tap)).unwrap();
        tap.detach();
    });
}

#[test]
fn without_a_runtime_polling_is_an_error() {
    in_namespace(|| {
        let mut tap = quiet_tap();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(matches!(tap.poll_readable(&mut context), std::task::Poll::Ready(Err(_))));
    });
}

#[test]
fn a_deleted_interface_wakes_its_reader_with_an_error() {
    in_namespace(|| {
        let mut tap = quiet_tap();
        runtime().block_on(async {
            {
                let mut waiting = pin!(poll_fn(|cx| tap.poll_readable(cx)));
                assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
                run("ip link del tap0");
                let result: io::Result<()> = timeout(PATIENCE, waiting).await.unwrap();
                result.unwrap_err();
            }
            readable(&mut tap).await.unwrap_err();
            tap.write_batch(&[plain(&experimental_frame(60))]).unwrap_err();
            tap.set_carrier(true).unwrap_err();
            tap.detach();
            tap.read_batch(&mut Collected::up_to(1)).unwrap_err();
        });
    });
}

/// Polls once through the reactor, so that events that are there have been seen.
async fn assert_pending(device: &mut dyn Device) {
    tokio::task::yield_now().await;
    assert!(timeout(Duration::ZERO, poll_fn(|cx| device.poll_readable(cx))).await.is_err());
}
