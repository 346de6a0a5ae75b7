/// The one line on stdout that says that the program serves: `rtun-socks ready socks=127.0.0.1:2080`.
package struct ReadyLine: Equatable, Sendable {
    /// The line, without its end.
    package let text: String

    /// `fields` keep their order; a value with spaces or control characters is quoted and escaped.
    package init(program: String, _ fields: KeyValuePairs<String, String>) {
        self.init(program: program, Array(fields.map { ($0.key, $0.value) }))
    }

    /// As above; a key may be there several times.
    package init(program: String, _ fields: [(key: String, value: String)]) {
        let values = fields.map { " \($0.key)=\(LogText.value($0.value))" }
        self.text = "\(program) ready\(values.joined())"
    }

    /// Prints the line and tells the service manager `READY=1`.
    package func announce() {
        StandardStream.output.write(self.text + "\n")
        ServiceManager.notify("READY=1")
    }
}
