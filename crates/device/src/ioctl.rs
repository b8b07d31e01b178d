//! Every ioctl of Tapline, each as a safe function. What they do is described in the kernel's
//! `Documentation/networking/tuntap.rst` and `include/uapi/linux/if_tun.h`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

use libc::{Ioctl, c_char, c_int, c_short, c_uint, ifreq};

/// Connects the file to the interface `name`, created if it does not exist; an empty name lets the kernel choose.
/// Returns the interface's name.
pub(crate) fn attach(tun: &File, name: &str, flags: c_int) -> io::Result<String> {
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_flags = short(flags);
    // SAFETY: TUNSETIFF reads and writes one ifreq.
    unsafe { with_pointer(tun.as_raw_fd(), libc::TUNSETIFF, &mut request) }?;
    Ok(text(&request.ifr_name))
}

/// The name that the attached interface has now, and its flags: `IFF_TUN` or `IFF_TAP`, `IFF_VNET_HDR`, `IFF_PERSIST`
/// and so on.
pub(crate) fn attached(tun: &File) -> io::Result<(String, c_int)> {
    let mut request = interface_request("")?;
    // SAFETY: TUNGETIFF writes one ifreq; it is declared with the size of an int, but the kernel copies an ifreq.
    unsafe { with_pointer(tun.as_raw_fd(), libc::TUNGETIFF, &mut request) }?;
    // SAFETY: TUNGETIFF stores the flags in the union, and every bit pattern is a short.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok((text(&request.ifr_name), c_int::from(flags) & 0xffff))
}

/// Makes the file one of its interface's queues, or takes it out again: then the kernel hands it no frames, and still
/// takes those that are written to it.
pub(crate) fn set_queue(tun: &File, in_use: bool) -> io::Result<()> {
    let mut request = interface_request("")?;
    request.ifr_ifru.ifru_flags = short(if in_use { libc::IFF_ATTACH_QUEUE } else { libc::IFF_DETACH_QUEUE });
    // SAFETY: TUNSETQUEUE reads one ifreq; it is declared with the size of an int, but the kernel copies an ifreq.
    unsafe { with_pointer(tun.as_raw_fd(), libc::TUNSETQUEUE, &mut request) }
}

pub(crate) fn vnet_header_size(tun: &File) -> io::Result<c_int> {
    read_int(tun, libc::TUNGETVNETHDRSZ)
}

pub(crate) fn set_vnet_header_size(tun: &File, bytes: c_int) -> io::Result<()> {
    write_int(tun, libc::TUNSETVNETHDRSZ, bytes)
}

/// Whether virtio-net headers are little-endian by request; 0 means the host's byte order.
pub(crate) fn vnet_little_endian(tun: &File) -> io::Result<c_int> {
    read_int(tun, libc::TUNGETVNETLE)
}

pub(crate) fn set_vnet_little_endian(tun: &File, on: c_int) -> io::Result<()> {
    write_int(tun, libc::TUNSETVNETLE, on)
}

pub(crate) fn set_carrier(tun: &File, up: bool) -> io::Result<()> {
    write_int(tun, libc::TUNSETCARRIER, c_int::from(up))
}

/// Switches the offloads of an interface off that somebody else is attached to.
pub(crate) fn clear_features(name: &str) -> io::Result<()> {
    // Segmentation first, as it rests on checksums.
    for feature in [ETHTOOL_STSO, ETHTOOL_SUFO, ETHTOOL_SGSO, ETHTOOL_STXCSUM] {
        match ethtool_value(name, feature, 0) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            result => result.map(drop)?,
        }
    }
    Ok(())
}

/// One command of ethtool that takes or gives a number.
fn ethtool_value(name: &str, cmd: u32, data: u32) -> io::Result<u32> {
    let socket = UnixDatagram::unbound()?;
    let mut value = EthtoolValue { cmd, data };
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: SIOCETHTOOL reads one ifreq, and reads and writes a struct ethtool_value where ifru_data points; `value` has
    // its size and outlives the call.
    unsafe { with_pointer(socket.as_raw_fd(), SIOCETHTOOL, &mut request) }?;
    Ok(value.data)
}

/// Whether the kernel's network stack has carrier on the interface `name`, or is down and has no use for one. What
/// `TUNSETCARRIER` says comes to it later, at most once a second, but since Linux 6.4 at once for whoever asks.
pub(crate) fn stack_has_carrier(name: &str) -> io::Result<bool> {
    let socket = UnixDatagram::unbound()?;
    ethtool_value(name, ETHTOOL_GLINK, 0)?;
    let mut request = interface_request(name)?;
    // SAFETY: SIOCGIFFLAGS reads and writes one ifreq.
    unsafe { with_pointer(socket.as_raw_fd(), libc::SIOCGIFFLAGS as Ioctl, &mut request) }?;
    // SAFETY: SIOCGIFFLAGS stores the flags in the union, and every bit pattern is a short.
    let flags = c_int::from(unsafe { request.ifr_ifru.ifru_flags });
    // IFF_RUNNING is the operational state of RFC 2863.
    Ok(flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0)
}

/// Sets the Ethernet address of the attached tap, which needs no more than having it.
pub(crate) fn set_address(tun: &File, address: [u8; 6]) -> io::Result<()> {
    let mut request = interface_request("")?;
    let mut hardware = libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: [0; 14] };
    for (slot, byte) in hardware.sa_data.iter_mut().zip(address) {
        *slot = c_char::from_ne_bytes([byte]);
    }
    request.ifr_ifru.ifru_hwaddr = hardware;
    // SAFETY: SIOCSIFHWADDR reads one ifreq.
    unsafe { with_pointer(tun.as_raw_fd(), libc::SIOCSIFHWADDR as Ioctl, &mut request) }
}

/// Says which work the reader of the device takes over from the kernel, as a mask of `TUN_F_*`.
pub(crate) fn set_offload(tun: &File, mask: c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value and touches no memory.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(mask)) };
    check(result)
}

/// Whether the calling thread's network namespace has an interface of that name.
pub(crate) fn interface_exists(name: &str) -> bool {
    let exists = || -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        let mut request = interface_request(name)?;
        // SAFETY: SIOCGIFINDEX reads and writes one ifreq.
        unsafe { with_pointer(socket.as_raw_fd(), libc::SIOCGIFINDEX as Ioctl, &mut request) }
    };
    exists().is_ok()
}

/// What drives an interface: (`tun`, `tap`) for a tap, (`tun`, `tun`) for a tun, (`veth`, ``) and so on.
pub(crate) fn driver_and_bus(name: &str) -> io::Result<(String, String)> {
    let socket = UnixDatagram::unbound()?;
    let mut info = DriverInfo {
        cmd: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        firmware_version: [0; 32],
        bus_info: [0; 32],
        rest: [0; 64],
    };
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: SIOCETHTOOL reads one ifreq, and writes a struct ethtool_drvinfo where ifru_data points; `info` has its
    // size and outlives the call.
    unsafe { with_pointer(socket.as_raw_fd(), SIOCETHTOOL, &mut request) }?;
    Ok((text(&info.driver), text(&info.bus_info)))
}

const SIOCETHTOOL: Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 3;
const ETHTOOL_GLINK: u32 = 10;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_SUFO: u32 = 0x22;
const ETHTOOL_SGSO: u32 = 0x24;

/// `struct ethtool_value` of `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

/// `struct ethtool_drvinfo` of `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [c_char; 32],
    version: [c_char; 32],
    firmware_version: [c_char; 32],
    bus_info: [c_char; 32],
    rest: [u8; 64],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

fn interface_request(name: &str) -> io::Result<ifreq> {
    // SAFETY: ifreq holds integers, arrays of integers and a union of those and a pointer, all valid when zero.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = c_char::from_ne_bytes([byte]);
    }
    Ok(request)
}

fn text(chars: &[c_char]) -> String {
    let bytes: Vec<u8> = chars
        .iter()
        .map(|char| char.to_ne_bytes())
        .map(|[byte]| byte)
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The lower 16 bits: interface flags are an unsigned short that C declares signed.
fn short(flags: c_int) -> c_short {
    let [low, high, ..] = flags.to_le_bytes();
    c_short::from_le_bytes([low, high])
}

fn read_int(tun: &File, request: Ioctl) -> io::Result<c_int> {
    let mut value: c_int = 0;
    // SAFETY: called with requests that write one int.
    unsafe { with_pointer(tun.as_raw_fd(), request, &mut value) }?;
    Ok(value)
}

fn write_int(tun: &File, request: Ioctl, mut value: c_int) -> io::Result<()> {
    // SAFETY: called with requests that read one int.
    unsafe { with_pointer(tun.as_raw_fd(), request, &mut value) }
}

/// # Safety
/// `request` reads and writes no more than a `T` at `argument`, and leaves a valid `T` there.
unsafe fn with_pointer<T>(fd: RawFd, request: Ioctl, argument: &mut T) -> io::Result<()> {
    // SAFETY: `argument` is a live exclusive reference, and the caller vouches for the request.
    check(unsafe { libc::ioctl(fd, request, &raw mut *argument) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
