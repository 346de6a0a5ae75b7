package import ArgumentParser

/// `--identity`, `--print-identity`: the key that a process proves itself with.
package struct IdentityOptions: ParsableArguments {
    @Option(
        name: .customLong("identity"),
        help: ArgumentHelp(
            "Keep the key of this program in this file, made if there is none, so that others know it again after a restart. "
                + "It has to be private (mode 0600). Without it each start makes a new key.",
            valueName: "file"))
    package var file: String?

    /// Looked for by ``ProgramMain`` before anything that is needed otherwise can be missed.
    @Flag(
        name: .customLong("print-identity"),
        help: ArgumentHelp(
            "Print the fingerprint of the key (SHA256:...), and exit. Needs neither URL nor secret; makes the file of "
                + "--identity if there is none."))
    var wantsPrint = false

    package init() {}
}
