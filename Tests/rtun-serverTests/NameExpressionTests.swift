import AgentChoice
import Testing

@testable import rtun_server

@Suite struct NameExpressionTests {
    private static let names = [
        "", "a", "b", "ab", "aab", "abc", "office", "home-office", "Office", "home_1", "home-12", "büro", "BÜRO", "家",
        "a b", "a.b",
        "a^b", "a]b", "a-b", "x{2}", "1234", "٣", "e\u{301}", "é", "aaaaaaaaaaaaaaaaaaaaaaaa", "\\d", "(a)", "a|b",
        "a\u{1F469}\u{200D}\u{1F4BB}b",
    ]

    private static let expressions = [
        "", ".*", "office", "home-.*", ".*office", "a|b", "(a|b)+", "(?:a|b|ab)c?", "a*", "a+b?", "a?b?c?", "a{2}b",
        "a{2,}", "a{,3}b",
        "a{1,2}b", "home[-_][0-9]+", "[^a].*", "[a-c]*", "a[\\]]b", "a[\\-\\]]b", "[a-]+b", "\\d+", "\\w+",
        "\\W", ".*\\s.*", "\\S+",
        "\\D*", "a\\.b", "a.b", "b.ro", "^office$", "\\Aa\\z", "(^a|b$)*", "a$b", "x\\{2\\}", "(?i)office|büro",
        "(?i)[A-Z]+", "é",
        "a*?b", "(a+)+", "((a|b)*)*", "(a|)b", "()", "a||b", "\\\\d", "\\(a\\)", "a\\|b", "家|büro", "[家-屋]",
        "[\\d_a-z-]+",
    ]

    @Test(arguments: Self.expressions)
    func `it matches what the clients' --agent does`(text: String) throws {
        let expression = try NameExpression(text)
        let pattern = try AgentNamePattern(text)
        for name in Self.names {
            #expect(expression.matches(name) == pattern.matches(name), "\(text) on \(name)")
        }
    }

    @Test(arguments: [
        ("(", "a ( is not closed"),
        ("a)", "a ) closes nothing"),
        ("[a", "a [ is not closed"),
        ("*", "nothing stands before *"),
        ("a|+", "nothing stands before +"),
        ("a**", "* stands behind another repeat"),
        ("a++", "possessive repeats are not supported"),
        ("a\\", "a \\ stands at the end"),
        ("(a)\\1", "\\1 is not supported"),
        ("\\bhome", "\\b is not supported"),
        ("\\p{L}", "\\p is not supported"),
        ("(?=a)", "(?= is not supported: there are (...), (?:...), and (?i) at the beginning"),
        ("(?<n>a)", "(?< is not supported: there are (...), (?:...), and (?i) at the beginning"),
        ("a{", "a { begins no repeat such as {2,5}, of at most 1000; write \\{ for itself"),
        ("a{3,2}", "a { begins no repeat such as {2,5}, of at most 1000; write \\{ for itself"),
        ("a{1001}", "a { begins no repeat such as {2,5}, of at most 1000; write \\{ for itself"),
        ("a{99999999999999999999}", "a { begins no repeat such as {2,5}, of at most 1000; write \\{ for itself"),
        ("[]a]", "a ] right behind [ is written \\]"),
        ("[b-a]", "b-a is no range"),
        ("[a&&b]", "&& within brackets is not supported"),
        ("[[:alpha:]]", "a [ within brackets is written \\["),
        ("((a{99}){99}){99}", "it is too large: it repeats too much"),
        ("((((){1000}){1000}){1000}){1000}", "it is too large: it repeats too much"),
        (String(repeating: "(", count: 500), "groups lie more than 64 deep in each other"),
        (String(repeating: "a", count: 1025), "it is longer than 1024 characters"),
    ])
    func `what it does not know is refused`(text: String, problem: String) {
        let error = #expect(throws: NameExpressionError.self) { try NameExpression(text) }
        #expect(error?.description == problem)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: ["(a+)+b", "(a*)*b", "(a|a)*b", "(.*)*(.*)*(.*)*(.*)*b", "(a?){255}b", ".*.*.*.*.*.*x"])
    func `an expression that others never come to an end with takes no time`(text: String) throws {
        let expression = try NameExpression(text)
        for _ in 0..<20 { #expect(!expression.matches(String(repeating: "a", count: 255))) }
    }
}
