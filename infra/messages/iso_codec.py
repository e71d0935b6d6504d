"""Calls as ISO 20022: colr.003 request, 004 response, 007 proposal, 008 its response, 009 dispute.

Party A is the house, which takes collateral; party B the client, which gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from engine.calls.disputes import DisputeReason
from engine.errors import ContractViolation
from engine.times import require_utc
from infra.messages.contents import (
    CallAmount,
    CallMessage,
    CallRequest,
    CallResponse,
    CollateralProposal,
    DisputeNotice,
    Header,
    ProposalResponse,
    ProposedAsset,
    call_id_of,
    short_id,
)
from infra.messages.iso_amounts import amount_of, due_of, information, iso_amount
from infra.messages.iso_xml import from_xml, message_classes, require_safe, to_xml

REQUEST: Final = "colr_003_001_05"
RESPONSE: Final = "colr_004_001_05"
PROPOSAL: Final = "colr_007_001_06"
PROPOSAL_RESPONSE: Final = "colr_008_001_06"
DISPUTE: Final = "colr_009_001_05"
_ISSUER: Final = "PLIMSOLL"
_NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:"


def encode(message: CallMessage) -> bytes:
    """Return a message as XML, checked against the facets of its schema.

    Raises
    ------
    ParameterError
        If an amount cannot be written, or the extra ``iso`` is not installed.
    ContractViolation
        If a text is too long or a number has too many digits for its element.
    """
    name, build = _BUILDERS[type(message)]
    classes = message_classes(name)
    return to_xml(build(classes, message))


def decode(raw: bytes) -> CallMessage:
    """Return the message of an XML text; its namespace says which one it is.

    Raises
    ------
    ContractViolation
        If it is unsafe, of another kind, breaks its schema, or says what we cannot act on.
    """
    namespace = require_safe(raw)
    name = namespace.removeprefix(_NAMESPACE).replace(".", "_")
    if name not in _READERS:
        listed = ", ".join(sorted(known.replace("_", ".") for known in _READERS))
        raise ContractViolation(
            f"message is of {namespace or 'no namespace'}, limit one of {listed}",
            value=namespace,
            limit=listed,
        )
    document = from_xml(raw, message_classes(name).Document)
    return _READERS[name](document)


def _obligation(classes: Any, header: Header) -> Any:
    from xsdata.models.datatype import XmlDateTime

    valued_at = require_utc(header.valued_at, "valued_at").replace(microsecond=0)
    return classes.Obligation9(
        pty_a=_party(classes, header.house),
        pty_b=_party(classes, header.client),
        valtn_dt=classes.DateAndDateTime2Choice(dt_tm=XmlDateTime.from_datetime(valued_at)),
    )


def _party(classes: Any, identifier: str) -> Any:
    return classes.PartyIdentification178Choice(
        prtry_id=classes.GenericIdentification36(id=identifier, issr=_ISSUER)
    )


def _request(classes: Any, message: CallRequest) -> Any:
    side = "due_to_pty_a" if message.direction == "call" else "due_to_pty_b"
    result = classes.Result1(
        **{side: iso_amount(classes, message.asked)},
        addtl_inf=information(message.asked, message.due_at),
    )
    return classes.Document(
        mrgn_call_req=classes.MarginCallRequestV05(
            tx_id=short_id(message.header.call_id),
            oblgtn=_obligation(classes, message.header),
            mrgn_call_rslt=classes.MarginCallResult3(
                mrgn_call_rslt=classes.MarginCallResult2Choice(
                    mrgn_call_rslt_dtls=classes.MarginCallResult2(vartn_mrgn_rslt=result)
                )
            ),
        )
    )


def _response(classes: Any, message: CallResponse) -> Any:
    agreed = classes.Amount1(
        agrd_amt=iso_amount(classes, message.agreed),
        mrgn_call_req_id=short_id(message.header.call_id),
        addtl_inf=information(message.agreed),
    )
    return classes.Document(
        mrgn_call_rspn=classes.MarginCallResponseV05(
            tx_id=message.header.message_id,
            oblgtn=_obligation(classes, message.header),
            agrd_amt_due_to_a=classes.AgreedAmount1Choice(
                agrd_amt_dtls=classes.AgreedAmount1(vartn_mrgn_amt=agreed)
            ),
            rspn_dtls=None
            if not message.note
            else classes.Response1(
                rspn_tp_dtls=[
                    classes.ResponseType1Choice(
                        prtry=classes.GenericIdentification30(id="NOTE", issr=_ISSUER)
                    )
                ],
                desc=message.note,
            ),
        )
    )


def _proposal(classes: Any, message: CollateralProposal) -> Any:
    other = [
        classes.OtherCollateral9(
            coll_id=str(number),
            othr_tp_of_coll=classes.OtherTypeOfCollateral3(
                desc=_described(one),
                qty=classes.FinancialInstrumentQuantity33Choice(
                    dgtl_tkn_unit=Decimal(format(one.quantity, "f"))
                ),
            ),
            coll_val=iso_amount(classes, one.value),
            blck_chain_adr_or_wllt=classes.BlockChainAddressWallet3(id=one.place),
        )
        for number, one in enumerate(message.assets, start=1)
    ]
    movement = classes.CollateralMovement12(
        agrd_amt=iso_amount(classes, message.agreed),
        mvmnt_drctn=[
            classes.CollateralMovement6Choice(
                coll_mvmnt_drctn=classes.CollateralMovement13(
                    dlvr=classes.Collateral55(
                        mrgn_call_req_id=short_id(message.header.call_id),
                        # Where the exact amount has room; settlement is not instructed here.
                        std_sttlm_instrs=information(message.agreed),
                        othr_coll=other,
                    )
                )
            )
        ],
    )
    kind = "COUN" if message.is_counter else "INIT"
    return classes.Document(
        coll_prpsl=classes.CollateralProposalV06(
            tx_id=message.header.message_id,
            oblgtn=_obligation(classes, message.header),
            tp_and_dtls=classes.Proposal6(
                coll_prpsl_tp=classes.ProposalType1Code(kind),
                coll_prpsl=classes.CollateralProposal6Choice(
                    coll_prpsl_dtls=classes.CollateralProposal7(vartn_mrgn=movement)
                ),
            ),
        )
    )


def _described(one: ProposedAsset) -> str:
    beside = information(one.value)
    return f"asset={one.asset}" + (f";{beside}" if beside else "")


def _proposal_response(classes: Any, message: ProposalResponse) -> Any:
    status = classes.Status4Code("PACK" if message.is_accepted else "REJT")
    response = classes.OtherCollateralResponse3(
        rspn_tp=status,
        coll_id=short_id(message.header.call_id),
        rjctn_rsn=None if message.is_accepted else classes.RejectionReason68Code("OTHR"),
        rjctn_inf=message.reason or None,
    )
    answered = classes.CollateralProposalResponseType4(
        coll_prpsl_id=message.proposal_id,
        tp=classes.CollateralProposalResponse1Code("INPR"),
        rspn=classes.CollateralResponse3(othr_coll_rspn=[response]),
    )
    return classes.Document(
        coll_prpsl_rspn=classes.CollateralProposalResponseV06(
            tx_id=message.header.message_id,
            oblgtn=_obligation(classes, message.header),
            prpsl_rspn=classes.CollateralProposalResponse4Choice(
                coll_prpsl=classes.CollateralProposalResponse4(vartn_mrgn=answered)
            ),
        )
    )


def _dispute(classes: Any, message: DisputeNotice) -> Any:
    from xsdata.models.datatype import XmlDate

    details = classes.VariationMarginDispute1(
        dspt_dtls=classes.Dispute1(
            mrgn_call_req_id=short_id(message.header.call_id),
            dsptd_amt=iso_amount(classes, message.disputed),
            dspt_dt=XmlDate.from_date(message.disputed_on),
        ),
        rsltn_tp_dtls=[
            classes.DisputeResolutionType2Choice(
                cd=classes.DisputeResolutionType2Code(message.contested.value)
            )
        ],
    )
    return classes.Document(
        mrgn_call_dspt_ntfctn=classes.MarginCallDisputeNotificationV05(
            tx_id=message.header.message_id,
            oblgtn=_obligation(classes, message.header),
            dspt_ntfctn=classes.DisputeNotification2Choice(
                dspt_ntfctn_dtls=classes.DisputeNotification2(vartn_mrgn_dspt=details)
            ),
        )
    )


_BUILDERS: Final[Mapping[type, tuple[str, Callable[[Any, Any], Any]]]] = {
    CallRequest: (REQUEST, _request),
    CallResponse: (RESPONSE, _response),
    CollateralProposal: (PROPOSAL, _proposal),
    ProposalResponse: (PROPOSAL_RESPONSE, _proposal_response),
    DisputeNotice: (DISPUTE, _dispute),
}


def _header(body: Any, call: str) -> Header:
    obligation = body.oblgtn
    valued = obligation.valtn_dt
    if valued.dt_tm is not None:
        instant = valued.dt_tm.to_datetime()
    else:
        instant = datetime(valued.dt.year, valued.dt.month, valued.dt.day, tzinfo=UTC)
    if instant.tzinfo is None:
        raise _missing("a time zone of ValtnDt")
    return Header(
        message_id=body.tx_id,
        call_id=call_id_of(call),
        house=_party_of(obligation.pty_a),
        client=_party_of(obligation.pty_b),
        valued_at=instant.astimezone(UTC),
    )


def _party_of(party: Any) -> str:
    if party.prtry_id is not None:
        return str(party.prtry_id.id)
    return str(party.any_bic or party.nm_and_adr.nm)


def _read_request(document: Any) -> CallRequest:
    body = document.mrgn_call_req
    choice = body.mrgn_call_rslt.mrgn_call_rslt
    result = choice.mrgn_call_rslt_dtls
    result = result.vartn_mrgn_rslt if result is not None else choice.mrgn_call_amt
    if result is None or (result.due_to_pty_a is None) == (result.due_to_pty_b is None):
        raise _missing("one amount due to one party")
    is_call = result.due_to_pty_a is not None
    return CallRequest(
        header=_header(body, body.tx_id),
        direction="call" if is_call else "return",
        asked=amount_of(result.due_to_pty_a if is_call else result.due_to_pty_b, result.addtl_inf),
        due_at=due_of(result.addtl_inf),
    )


def _read_response(document: Any) -> CallResponse:
    body = document.mrgn_call_rspn
    agreed = body.agrd_amt_due_to_a and body.agrd_amt_due_to_a.agrd_amt_dtls
    if not agreed:
        raise _missing("an agreed amount due to party A")
    amount = agreed.vartn_mrgn_amt
    details = body.rspn_dtls
    return CallResponse(
        header=_header(body, amount.mrgn_call_req_id),
        agreed=amount_of(amount.agrd_amt, amount.addtl_inf),
        note=details.desc or "" if details is not None else "",
    )


def _read_proposal(document: Any) -> CollateralProposal:
    body = document.coll_prpsl
    details = body.tp_and_dtls.coll_prpsl.coll_prpsl_dtls
    movements = [] if details is None else details.vartn_mrgn.mvmnt_drctn
    if len(movements) != 1 or movements[0].coll_mvmnt_drctn is None:
        raise _missing("one delivery of variation margin")
    delivery = movements[0].coll_mvmnt_drctn.dlvr
    if delivery.csh_coll or getattr(delivery, "scties_coll", None):
        raise _missing("digital assets alone: cash and securities are not taken by message")
    return CollateralProposal(
        header=_header(body, delivery.mrgn_call_req_id),
        agreed=amount_of(details.vartn_mrgn.agrd_amt, delivery.std_sttlm_instrs),
        assets=tuple(_asset(one) for one in delivery.othr_coll),
        is_counter=body.tp_and_dtls.coll_prpsl_tp.value == "COUN",
    )


def _asset(one: Any) -> ProposedAsset:
    kind = one.othr_tp_of_coll
    described = dict(part.partition("=")[::2] for part in (kind.desc if kind else "").split(";"))
    quantity = kind.qty.dgtl_tkn_unit if kind is not None and kind.qty is not None else None
    if not described.get("asset") or quantity is None or one.blck_chain_adr_or_wllt is None:
        raise _missing("asset, digital token units and wallet of each collateral")
    value: CallAmount = amount_of(one.coll_val, kind.desc)
    return ProposedAsset(
        asset=described["asset"],
        quantity=quantity,
        place=one.blck_chain_adr_or_wllt.id,
        value=value,
    )


def _read_proposal_response(document: Any) -> ProposalResponse:
    body = document.coll_prpsl_rspn
    chosen = body.prpsl_rspn.coll_prpsl
    answers = [] if chosen is None else chosen.vartn_mrgn.rspn.othr_coll_rspn
    if len(answers) != 1 or not answers[0].coll_id:
        raise _missing("one response about one call's digital assets")
    answer = answers[0]
    return ProposalResponse(
        header=_header(body, answer.coll_id),
        proposal_id=chosen.vartn_mrgn.coll_prpsl_id,
        is_accepted=answer.rspn_tp.value == "PACK",
        reason=answer.rjctn_inf or "",
    )


def _read_dispute(document: Any) -> DisputeNotice:
    body = document.mrgn_call_dspt_ntfctn
    details = body.dspt_ntfctn.dspt_ntfctn_dtls
    if details is None:
        raise _missing("a dispute of variation margin")
    dispute = details.vartn_mrgn_dspt
    codes = [kind.cd for kind in dispute.rsltn_tp_dtls if kind.cd is not None]
    if len(codes) != 1:
        raise _missing("one resolution type with a code")
    facts = dispute.dspt_dtls
    return DisputeNotice(
        header=_header(body, facts.mrgn_call_req_id),
        disputed=amount_of(facts.dsptd_amt, None),
        disputed_on=facts.dspt_dt.to_date(),
        contested=DisputeReason(codes[0].value),
    )


_READERS: Final[Mapping[str, Callable[[Any], CallMessage]]] = {
    REQUEST: _read_request,
    RESPONSE: _read_response,
    PROPOSAL: _read_proposal,
    PROPOSAL_RESPONSE: _read_proposal_response,
    DISPUTE: _read_dispute,
}


def _missing(what: str) -> ContractViolation:
    return ContractViolation(f"message needs {what}", limit=what)
