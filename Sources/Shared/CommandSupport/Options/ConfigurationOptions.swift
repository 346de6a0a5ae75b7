import ArgumentParser

/// `--config`, `--print-config`, `--check-config`: where the other options may come from. ``ProgramMain`` sees to all of them
/// before the command runs.
package struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "Read options from this TOML file, from the table named after the program, instead of /etc/rtun/PROGRAM.toml and "
                + "~/.config/rtun/PROGRAM.toml. RTUN_CONFIG can name the file too. The command line wins over environment "
                + "variables (RTUN_ and the option's name, such as RTUN_LOG_LEVEL; RTUN_URL), and these win over files.",
            valueName: "file"))
    var file: String?

    /// Looked for by ``ProgramMain`` before anything that is needed otherwise can be missed.
    @Flag(name: .customShort("V"), help: "The same as --version.")
    var showsVersion = false

    @Flag(
        name: .customLong("print-config"),
        help: "Print the values of all options and where each comes from, with secrets masked, and exit.")
    var wantsReport = false

    @Flag(
        name: .customLong("check-config"),
        help: ArgumentHelp(
            "Check options, configuration files and the files that they name without starting, and exit: with 0 if all is "
                + "fine, otherwise with the code that a start would exit with."))
    var wantsCheck = false

    package init() {}
}
