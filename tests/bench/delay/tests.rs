use super::*;

#[test]
fn reads_what_iputils_prints() {
    let said = "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.\n\
                64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.031 ms\n\
                64 bytes from 192.0.2.1: icmp_seq=2 ttl=64 time=104 ms\n\n\
                --- 192.0.2.1 ping statistics ---\n\
                2 packets transmitted, 2 received, 0% packet loss, time 1001ms\n";
    assert_eq!(times(said), [0.031, 104.0]);
}
