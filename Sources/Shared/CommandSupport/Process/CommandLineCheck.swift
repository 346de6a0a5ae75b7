import ArgumentParser

/// What is wrong with a command line that ArgumentParser has no word for.
enum CommandLineCheck {
    /// Words that name the role of a program in the form of usage in which all are one.
    private static let roleWords: Set<String> = ["agent", "socks", "relay", "server", "pub", "listen", "sub"]

    /// Throws for values that are empty, and for words that name a role; exit code 64.
    static func check(_ commandLine: [String], of type: (some ProgramCommand).Type) throws(ProgramError) {
        try Self.checkRoleWords(commandLine, of: type)
        for (index, word) in zip(commandLine.indices, commandLine) {
            if word == "--" { return }
            let isAttached = word.hasPrefix("--") && word.hasSuffix("=")
            guard word.isEmpty || isAttached else { continue }
            let option = isAttached ? String(word.dropLast()) : commandLine[..<index].last { $0.hasPrefix("-") }
            let place = option.map { "the value of \($0)" } ?? "the first argument"
            throw ProgramError(
                .usage, "\(place) is empty; is a variable unset? Leave the option out if it is not wanted")
        }
    }

    private static func checkRoleWords(
        _ commandLine: [String], of type: (some ProgramCommand).Type
    ) throws(ProgramError) {
        let words = commandLine.prefix { Self.roleWords.contains($0) }
        guard !words.isEmpty else { return }
        let said = words.joined(separator: " ")
        let isOther = !words.allSatisfy(type.roleWords.contains)
        throw ProgramError(
            .usage,
            isOther
                ? """
                there is no \(type._commandName) \(said): the programs are rtun-server ("agent listen"), rtun-agent ("agent \
                pub"), rtun-socks and rtun-relay, each on its own
                """
                : "leave out \"\(said)\", which the program's name says already: \(type.example)")
    }

    /// `words` with each negative number joined to the option in front of it that takes a value; nil when there is none.
    static func joiningNegativeNumbers(_ words: [String], _ syntax: CommandSyntax) -> [String]? {
        var joined: [String] = []
        var rest = words[...]
        var hasChanged = false
        while let word = rest.popFirst() {
            if word == "--" { return hasChanged ? joined + [word] + rest : nil }
            let isOption = word.hasPrefix("--") && syntax.argument(named: String(word.dropFirst(2)))?.kind == .option
            if isOption, let next = rest.first, next.hasPrefix("-"), Double(next) != nil {
                joined.append("\(word)=\(next)")
                rest.removeFirst()
                hasChanged = true
            } else {
                joined.append(word)
            }
        }
        return hasChanged ? joined : nil
    }
}
