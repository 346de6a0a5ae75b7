import ArgumentParser

/// `--check`.
package struct CheckOptions: ParsableArguments {
    @Flag(
        name: .customLong("check"),
        help: ArgumentHelp(
            "Test name, server, secret, clock, STUN and NAT, print what works and what to do, and exit: 0 if it will "
                + "work, 69 if not, 77 if the server refuses the secret."))
    package var isWanted = false

    package init() {}
}
