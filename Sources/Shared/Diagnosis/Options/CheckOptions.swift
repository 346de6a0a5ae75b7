import ArgumentParser

/// `--check`.
package struct CheckOptions: ParsableArguments {
    @Flag(
        name: .customLong("check"),
        help: ArgumentHelp(
            "Test name, server, secret, clock, STUN and NAT, print what works and what to do, and exit: 0 when it will "
                + "work, 69 when it will not, 77 when the server refuses the secret."))
    package var isWanted = false

    package init() {}
}
