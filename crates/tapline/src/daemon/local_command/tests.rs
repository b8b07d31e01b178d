use super::*;

#[test]
fn u13_the_interface_stands_where_it_is_named() {
    for (command, line) in [
        ("logger up", "logger up"),
        ("ip addr add 10.77.0.2/24 dev %T", "ip addr add 10.77.0.2/24 dev tap7"),
        ("%T", "tap7"),
        ("echo 100%% %T%T", "echo 100% tap7tap7"),
        ("echo %%T", "echo %T"),
        ("echo %%%T%", "echo %tap7%"),
        ("", ""),
    ] {
        assert_eq!(with_interface(command, "tap7"), line, "{command}");
    }
}
