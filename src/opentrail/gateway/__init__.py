"""The one way in: HTTP -> recording( resolve -> authenticate -> decode -> authorize -> perform -> encode ) -> answer."""
