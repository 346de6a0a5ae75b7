import ArgumentParser

/// `--config`, `--print-config`, `--check-config`: where the other options may come from. ``ProgramMain`` sees to all of them
/// before the command runs.
package struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "Take options from this TOML file, from the table named after the program, instead of /etc/rtun/PROGRAM.toml and "
                + "~/.config/rtun/PROGRAM.toml. RTUN_CONFIG may name the file too. The command line wins over environment "
                + "variables (RTUN_ and the option's name, as in RTUN_LOG_LEVEL; RTUN_URL), and those over files.",
            valueName: "file"))
    var file: String?

    /// Looked for by ``ProgramMain`` before anything that is needed otherwise can be missed.
    @Flag(name: .customShort("V"), help: "The same as --version.")
    var showsVersion = false

    @Flag(
        name: .customLong("print-config"),
        help: "Print the values of all options, with the place that each comes from and secrets masked, and exit.")
    var wantsReport = false

    @Flag(
        name: .customLong("check-config"),
        help: ArgumentHelp(
            "Check options, configuration files, and the files that they name, without starting, and exit: 0 when all is "
                + "fine, or else with the exit code that a start would end with."))
    var wantsCheck = false

    package init() {}
}
