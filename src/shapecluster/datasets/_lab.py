"""The tickers of the lab on which this library is based, and their sectors.

They are 99 large companies of the S&P 500 in early 2020, in the lab's order. Some have changed their ticker
since (FB, ANTM) or are no longer listed (ATVI). Sectors are those of GICS on 2020-05-29, by the codes of the
table, with which `make_market` names its stocks.
"""

from __future__ import annotations

GICS_SECTORS = {
    "ENR": "Energy",
    "MAT": "Materials",
    "IND": "Industrials",
    "CDI": "Consumer Discretionary",
    "CST": "Consumer Staples",
    "HLC": "Health Care",
    "FIN": "Financials",
    "TEC": "Information Technology",
    "COM": "Communication Services",
    "UTL": "Utilities",
    "REL": "Real Estate",
}

# The order determines the result of a seed, because tickers are drawn by position.
_IN_ORDER = """
    FB:COM AAPL:TEC MSFT:TEC GOOGL:COM GOOG:COM JNJ:HLC V:TEC PG:CST JPM:FIN UNH:HLC HD:CDI MA:TEC INTC:TEC
    NVDA:TEC VZ:COM NFLX:COM ADBE:TEC DIS:COM T:COM PYPL:TEC PFE:HLC MRK:HLC CSCO:TEC CMCSA:COM WMT:CST
    PEP:CST BAC:FIN XOM:ENR KO:CST CRM:TEC ABBV:HLC ABT:HLC CVX:ENR TMO:HLC AMGN:HLC COST:CST MCD:CDI
    ACN:TEC LLY:HLC BMY:HLC NEE:UTL MDT:HLC AVGO:TEC LIN:MAT TXN:TEC DHR:HLC UNP:IND NKE:CDI AMT:REL
    ORCL:TEC PM:CST IBM:TEC LOW:CDI HON:IND QCOM:TEC C:FIN GILD:HLC BA:IND WFC:FIN RTX:IND LMT:IND MMM:IND
    BLK:FIN SBUX:CDI FIS:TEC SPGI:FIN NOW:TEC CHTR:COM CVS:HLC UPS:IND VRTX:HLC BDX:HLC INTU:TEC ISRG:HLC
    MDLZ:CST MO:CST CAT:IND CCI:REL BKNG:CDI PLD:REL ZTS:HLC AMD:TEC REGN:HLC GS:FIN ANTM:HLC D:UTL CI:HLC
    EQIX:REL APD:MAT ADP:TEC CL:CST ATVI:COM MS:FIN AXP:FIN TJX:CDI SYK:HLC CB:FIN TMUS:COM TGT:CDI
"""
_SECTOR_CODES = dict(entry.split(":") for entry in _IN_ORDER.split())
LAB_TICKERS = tuple(_SECTOR_CODES)

LAB_SECTORS: dict[str, str] = {ticker: GICS_SECTORS[code] for ticker, code in _SECTOR_CODES.items()}
"""GICS sector of each of the lab's tickers."""
