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
            // Only "--option=": a value may well end so.
            let isAttached = word.hasPrefix("--") && word.firstIndex(of: "=") == word.indices.last
            guard word.isEmpty || isAttached else { continue }
            let option = isAttached ? String(word.dropLast()) : commandLine[..<index].last ?? ""
            let place = option.hasPrefix("-") && !option.contains("=") ? "the value of \(option)" : "an argument"
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
                : "leave out \"\(said)\", which the program's name already says: \(type.example)")
    }

    /// Throws for the first option that there is not; exit code 64.
    static func checkOptions(_ words: [String], _ syntax: CommandSyntax) throws(ProgramError) {
        var rest = words[...]
        while let word = rest.popFirst(), word != "--" {
            guard word.hasPrefix("-"), word.count > 1, !Self.isNumber(word) else { continue }
            let name = String(word.drop { $0 == "-" }.prefix { $0 != "=" })
            let isJoined =
                !word.hasPrefix("--") && syntax.argument(named: String(name.prefix(1))) != nil && name.count > 1
            if let argument = syntax.argument(named: name), word.hasPrefix("--") || name.count == 1 {
                if argument.kind == .option, !word.contains("=") { _ = rest.popFirst() }
            } else if !isJoined, !Self.builtIn.contains(name) {
                let names = syntax.arguments.filter { $0.kind != .positional }.flatMap(\.names)
                let hint = EditDistance.nearest(to: name, among: names).flatMap { nearest in
                    EditDistance.between(nearest, name) <= 3 ? "; did you mean --\(nearest)?" : nil
                }
                let shown = word.prefix { $0 != "=" }
                throw ProgramError(
                    .usage, "there is no option \(shown)\(hint ?? "; --help lists those that there are")")
            }
        }
    }

    /// Those of ArgumentParser.
    private static let builtIn: Set<String> = [
        "help", "h", "version", "generate-completion-script", "experimental-dump-help", "help-hidden",
    ]

    private static func isNumber(_ word: String) -> Bool {
        word.dropFirst().first.map { ("0"..."9").contains($0) || $0 == "." } ?? false
    }

    /// `words` with values that ArgumentParser does not see as such: negative numbers are joined to the option in front of
    /// them, and what is joined to an option of one letter (`-L127.0.0.1:…`) is cut off. Nil when there are none.
    static func joiningValues(_ words: [String], _ syntax: CommandSyntax) -> [String]? {
        var joined: [String] = []
        var rest = words[...]
        var hasChanged = false
        while let word = rest.popFirst() {
            if word == "--" { return hasChanged ? joined + [word] + rest : nil }
            let isOption = word.hasPrefix("--") && syntax.argument(named: String(word.dropFirst(2)))?.kind == .option
            if isOption, let next = rest.first, next.hasPrefix("-"), Self.isNumber(next) {
                joined.append("\(word)=\(next)")
                rest.removeFirst()
                hasChanged = true
            } else if word.hasPrefix("-"), !word.hasPrefix("--"), word.count > 2,
                !word.contains("=") || word.contains("?") && word.dropFirst(2).first != "=",
                syntax.argument(named: String(word.dropFirst().prefix(1)))?.kind == .option
            {
                joined += [String(word.prefix(2)), String(word.dropFirst(2))]
                hasChanged = true
            } else {
                joined.append(word)
            }
        }
        return hasChanged ? joined : nil
    }
}
