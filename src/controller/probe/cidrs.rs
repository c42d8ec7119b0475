//! Where a probe may go.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::fault::{Fault, Kind};

/// The ranges whose hosts may be asked. Whatever they are, link-local, metadata, multicast and
/// unspecified addresses are not asked, and the loopback only where a range within it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cidrs(Vec<Cidr>);

/// A text that is not a list of ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a range of addresses: {why}; write it as 10.0.0.0/8")]
pub struct NotCidrs {
    text: String,
    why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cidr {
    first: IpAddr,
    bits: u8,
}

impl Default for Cidrs {
    /// The private ranges: RFC 1918, and the unique local addresses of IPv6.
    fn default() -> Self {
        let v4 = |a, b, bits| Cidr {
            first: Ipv4Addr::new(a, b, 0, 0).into(),
            bits,
        };
        Self(vec![
            v4(10, 0, 8),
            v4(172, 16, 12),
            v4(192, 168, 16),
            Cidr {
                first: Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(),
                bits: 7,
            },
        ])
    }
}

impl Cidrs {
    /// The loopback alone, for tools that run the applications on this machine.
    #[must_use]
    pub fn loopback() -> Self {
        Self(vec![
            Cidr {
                first: Ipv4Addr::new(127, 0, 0, 0).into(),
                bits: 8,
            },
            Cidr {
                first: Ipv6Addr::LOCALHOST.into(),
                bits: 128,
            },
        ])
    }

    /// Refuses an address that may not be asked.
    pub(super) fn check(&self, address: SocketAddr) -> Result<(), Fault> {
        let refused = |why: String, fix: String| {
            let what = format!("the probe at {address} was not asked: {why}");
            Err(Fault::new(Kind::NotAsked, what, fix))
        };
        // ::ffff:169.254.169.254 is what it stands for.
        let ip = address.ip().to_canonical();
        if is_never_asked(ip) {
            let why = "it is a link-local, metadata, multicast or unspecified address".to_owned();
            return refused(why, "such an address is never asked".to_owned());
        }
        let mut ranges = self.0.iter().filter(|cidr| cidr.has(ip));
        if ranges.any(|cidr| !ip.is_loopback() || cidr.is_loopback()) {
            return Ok(());
        }
        refused(
            format!("the address is in none of --probe-cidrs ({self})"),
            "add its range there (chart value probes.cidrs), if the host is the application's"
                .to_owned(),
        )
    }
}

/// Addresses that answer for the machine or the network, and for no application. The metadata
/// service and the credentials of EKS have unique local addresses of IPv6 too: fd00:ec2::/32.
fn is_never_asked(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0
        }
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.is_multicast()
                || ip.is_unspecified()
                || ip.segments()[..2] == [0xfd00, 0x0ec2]
        }
    }
}

impl Cidr {
    fn has(self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }

    /// Whether all of it is the loopback.
    fn is_loopback(self) -> bool {
        self.first.is_loopback() && self.bits >= if self.first.is_ipv4() { 8 } else { 128 }
    }
}

impl FromStr for Cidr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, bits) = text.split_once('/').ok_or("it has no slash")?;
        let first: IpAddr = first.parse().map_err(|_| "its address is not an address")?;
        let bits: u8 = bits.parse().map_err(|_| "its length is not a number")?;
        let (most, zeros) = match first {
            IpAddr::V4(ip) => (32, ip.to_bits().trailing_zeros()),
            IpAddr::V6(ip) => (128, ip.to_bits().trailing_zeros()),
        };
        if bits > most {
            return Err("its length is above that of an address");
        }
        if zeros < u32::from(most - bits) {
            return Err("its address has bits beyond its length");
        }
        Ok(Self { first, bits })
    }
}

impl FromStr for Cidrs {
    type Err = NotCidrs;

    /// Ranges between commas. Of an empty text, none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let texts = text.split(',').map(str::trim);
        texts
            .filter(|_| !text.trim().is_empty())
            .map(|text| {
                text.parse().map_err(|why| NotCidrs {
                    text: text.to_owned(),
                    why,
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Cidrs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Cidr { first, bits }) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(formatter, "{comma}{first}/{bits}")?;
        }
        Ok(())
    }
}
