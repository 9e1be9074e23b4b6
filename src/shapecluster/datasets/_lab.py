"""The tickers of the lab on which this library is based, and their sectors.

They are 99 large companies of the S&P 500 in early 2020, in the lab's order. Some have changed their ticker
since (FB, ANTM) or are no longer listed (ATVI). Sectors are those of GICS on 2020-05-29.
"""

from __future__ import annotations

# The order determines the result of a seed, because tickers are drawn by position.
_IN_ORDER = """
    FB AAPL MSFT GOOGL GOOG JNJ V PG JPM UNH HD MA INTC NVDA VZ NFLX ADBE DIS T PYPL PFE MRK CSCO CMCSA
    WMT PEP BAC XOM KO CRM ABBV ABT CVX TMO AMGN COST MCD ACN LLY BMY NEE MDT AVGO LIN TXN DHR UNP NKE
    AMT ORCL PM IBM LOW HON QCOM C GILD BA WFC RTX LMT MMM BLK SBUX FIS SPGI NOW CHTR CVS UPS VRTX BDX
    INTU ISRG MDLZ MO CAT CCI BKNG PLD ZTS AMD REGN GS ANTM D CI EQIX APD ADP CL ATVI MS AXP TJX SYK CB
    TMUS TGT
"""
LAB_TICKERS = tuple(_IN_ORDER.split())

_BY_SECTOR = {
    "Communication Services": "FB GOOGL GOOG VZ NFLX DIS T CMCSA CHTR ATVI TMUS",
    "Information Technology": (
        "AAPL MSFT V MA INTC NVDA ADBE PYPL CSCO CRM ACN AVGO TXN ORCL IBM QCOM FIS NOW INTU AMD ADP"
    ),
    "Health Care": (
        "JNJ UNH PFE MRK ABBV ABT TMO AMGN LLY BMY MDT DHR GILD CVS VRTX BDX ISRG ZTS REGN ANTM CI SYK"
    ),
    "Consumer Staples": "PG WMT PEP KO COST PM MDLZ MO CL",
    "Financials": "JPM BAC C WFC BLK SPGI GS MS AXP CB",
    "Consumer Discretionary": "HD MCD NKE LOW SBUX BKNG TJX TGT",
    "Energy": "XOM CVX",
    "Utilities": "NEE D",
    "Materials": "LIN APD",
    "Industrials": "UNP HON BA RTX LMT MMM UPS CAT",
    "Real Estate": "AMT CCI PLD EQIX",
}

LAB_SECTORS: dict[str, str] = {
    ticker: sector for sector, tickers in _BY_SECTOR.items() for ticker in tickers.split()
}
"""GICS sector of each of the lab's tickers."""
