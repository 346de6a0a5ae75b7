import Basics
import NIOCore
import Testing

@Suite struct `Text` {
    @Test func `numbers and bytes become lower-case hex digits`() {
        #expect(Hex.text(UInt64(0xAB), digits: 16) == "00000000000000ab")
        #expect(Hex.text(UInt64.max, digits: 16) == "ffffffffffffffff")
        #expect(Hex.text(UInt32(0x202E)) == "202e")
        #expect(Hex.text([0x00, 0x0F, 0xF0] as [UInt8]) == "000ff0")
        #expect(Hex.text([0x00, 0x0F] as [UInt8], separator: ":") == "00:0f")
        #expect(Hex.text([UInt8]()) == "")
    }

    @Test func `what a string must not contain is escaped`() {
        #expect("a\"b\\c\n\r\t\u{1}\u{7F}é😀".quoted() == #""a\"b\\c\n\r\t\u0001\#u{7F}é😀""#)
        #expect("\u{7F}".quoted { $0.value == 0x7F } == #""\u007f""#)
        #expect("\u{E0001}".quoted { $0.value > 0xFFFF } == #""\udb40\udc01""#)
    }

    @Test func `a place has its IPv6 address in brackets`() {
        #expect(hostWithPort("example.org", 80) == "example.org:80")
        #expect(hostWithPort("2001:db8::1", UInt16(80)) == "[2001:db8::1]:80")
    }

    @Test func `milliseconds have a fraction`() {
        #expect(TimeAmount.microseconds(1500).milliseconds == 1.5)
    }
}
