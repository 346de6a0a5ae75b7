import ArgumentParser

/// `--config`: where the other options may come from. ``ProgramMain`` reads the file before the command line is parsed.
package struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "Take options from this TOML file, from the table named after the program; the command line wins. "
                + "RTUN_CONFIG may name the file too.",
            valueName: "file"))
    var file: String?

    /// Looked for by ``ProgramMain`` before anything that is needed otherwise can be missed.
    @Flag(name: .customShort("V"), help: "The same as --version.")
    var showsVersion = false

    package init() {}
}
