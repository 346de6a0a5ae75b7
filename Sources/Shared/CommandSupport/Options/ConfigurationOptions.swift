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

    package init() {}
}
