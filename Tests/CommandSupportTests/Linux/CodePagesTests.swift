import Testing

@testable import CommandSupport

@Suite struct CodePagesTests {
    @Test(
        arguments: [
            ("55d0-55e0 r-xp 00001000 08:01 1234                       /usr/bin/rtun agent", 0x55d0..<0x55e0),
            ("55d0-55e0 r--p 00001000 08:01 1234                       /usr/bin/rtun-agent", nil),
            ("55d0-55e0 rwxp 00001000 08:01 1234                       /usr/bin/rtun-agent", nil),
            ("7ffd-7fff r-xp 00000000 00:00 0                          [vdso]", nil),
            ("7ffd-7fff r-xp 00000000 00:00 0", nil),
            ("7fff-7ffd r-xp 00000000 08:01 1 /x", nil),
            ("xyz r-xp 00000000 08:01 1 /x", nil),
            ("", nil),
        ] as [(String, Range<UInt>?)])
    func `only code that is mapped from a file is released`(line: String, range: Range<UInt>?) {
        #expect(CodePages.codeRange(of: Array(line.utf8)) == range)
    }

    @Test func `the program keeps running after its code was released`() {
        CodePages.release()
        #expect([3, 1, 2].sorted().map(String.init).joined() == "123")
    }
}
