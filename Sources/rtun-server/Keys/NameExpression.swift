/// A regular expression for the names of agents, as the clients' `--agent` takes it, which has to match a whole name.
///
/// What it costs to match is bounded by the length of the name times that of the program, whoever has written either: all ways
/// through are followed at once, none is gone back on (Thompson, "Regular Expression Search Algorithm", 1968). So it knows what
/// can be decided that way: no back references, no looking around, nothing possessive.
struct NameExpression: Sendable {
    /// What an expression may have, in characters.
    static let longest = 1024
    /// What a program may have: repeats such as `(a{99}){99}` grow fast.
    static let largestProgram = 4096

    /// As it was written.
    let text: String
    private let program: [Instruction]
    private let isCaseInsensitive: Bool

    enum Instruction: Sendable {
        /// One character of a set, then the next instruction.
        case take(CharacterSet)
        /// The next instruction, or this one.
        case fork(Int)
        case jump(Int)
        case atStart
        case atEnd
        case done
    }

    /// Compiles `text`, in the syntax that most engines share.
    init(_ text: String) throws(NameExpressionError) {
        guard text.count <= Self.longest else {
            throw NameExpressionError("it is longer than \(Self.longest) characters")
        }
        var parser = NameExpressionParser(text)
        let node = try parser.parse()
        self.text = text
        self.isCaseInsensitive = parser.isCaseInsensitive
        var compiler = Compiler()
        try compiler.add(node)
        compiler.program.append(.done)
        self.program = compiler.program
    }

    /// Whether the whole of `name` matches.
    func matches(_ name: String) -> Bool {
        let characters = Array(self.isCaseInsensitive ? name.lowercased() : name)
        var now = Threads(self.program.count)
        var next = Threads(self.program.count)
        now.enter(0, self.program, isStart: true, isEnd: characters.isEmpty)
        for (index, character) in characters.enumerated() {
            guard !now.list.isEmpty else { return false }
            next.clear()
            for place in now.list {
                guard case .take(let set) = self.program[place], set.contains(character) else { continue }
                next.enter(place + 1, self.program, isStart: false, isEnd: index == characters.count - 1)
            }
            swap(&now, &next)
        }
        return now.isDone
    }

    /// The places in the program that have been reached, each once.
    private struct Threads {
        private(set) var list: [Int] = []
        private(set) var isDone = false
        private var isThere: [Bool]
        private var waiting: [Int] = []

        init(_ count: Int) { self.isThere = [Bool](repeating: false, count: count) }

        mutating func clear() {
            for place in self.isThere.indices { self.isThere[place] = false }
            self.list.removeAll(keepingCapacity: true)
            self.isDone = false
        }

        /// Goes on from `place` to where a character is taken, or all is done.
        mutating func enter(_ place: Int, _ program: [Instruction], isStart: Bool, isEnd: Bool) {
            self.waiting.append(place)
            while let place = self.waiting.popLast() {
                guard !self.isThere[place] else { continue }
                self.isThere[place] = true
                switch program[place] {
                case .take: self.list.append(place)
                case .fork(let other): self.waiting += [other, place + 1]
                case .jump(let target): self.waiting.append(target)
                case .atStart: if isStart { self.waiting.append(place + 1) }
                case .atEnd: if isEnd { self.waiting.append(place + 1) }
                case .done: self.isDone = true
                }
            }
        }
    }

    private struct Compiler {
        var program: [Instruction] = []
        /// What takes no place in the program takes time all the same.
        private var work = 0

        mutating func add(_ node: NameExpressionNode) throws(NameExpressionError) {
            self.work += 1
            guard self.program.count < NameExpression.largestProgram, self.work < 4 * NameExpression.largestProgram
            else {
                throw NameExpressionError("it is too large: it repeats too much")
            }
            switch node {
            case .take(let set): self.program.append(.take(set))
            case .atStart: self.program.append(.atStart)
            case .atEnd: self.program.append(.atEnd)
            case .sequence(let nodes):
                for node in nodes { try self.add(node) }
            case .choice(let nodes): try self.add(choice: nodes[...])
            case .repeated(let node, let least, let most): try self.add(node, least, most)
            }
        }

        private mutating func add(choice nodes: ArraySlice<NameExpressionNode>) throws(NameExpressionError) {
            var jumps: [Int] = []
            for (index, node) in zip(nodes.indices, nodes) {
                guard index < nodes.endIndex - 1 else {
                    try self.add(node)
                    break
                }
                let fork = self.reserve()
                try self.add(node)
                jumps.append(self.reserve())
                self.program[fork] = .fork(self.program.count)
            }
            for jump in jumps { self.program[jump] = .jump(self.program.count) }
        }

        private mutating func add(_ node: NameExpressionNode, _ least: Int, _ most: Int?) throws(NameExpressionError) {
            for _ in 0..<least { try self.add(node) }
            guard let most else {
                let fork = self.reserve()
                try self.add(node)
                self.program.append(.jump(fork))
                self.program[fork] = .fork(self.program.count)
                return
            }
            var forks: [Int] = []
            for _ in least..<max(least, most) {
                forks.append(self.reserve())
                try self.add(node)
            }
            for fork in forks { self.program[fork] = .fork(self.program.count) }
        }

        /// A place that is filled later.
        private mutating func reserve() -> Int {
            self.program.append(.done)
            return self.program.count - 1
        }
    }
}

/// Why a text is no expression.
struct NameExpressionError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
