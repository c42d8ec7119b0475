//! Passes one request to a target and its answer back. Nothing is ever sent twice: a failure is
//! the client's to see.

use std::{io, net::IpAddr, sync::Arc};

use http::{Request, Response, StatusCode, Uri, Version, header};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::{
    answer::{self, AnswerBody},
    headers,
    node::{Decision, Destination, Node},
    relay::{self, Activity, Open, Relay, Upload},
    sticky,
    tunnel::{self, Tunnel},
};
use crate::oracle::{Failure, Ticket};

/// Handles a request that came to a listener's port.
pub(super) async fn handle(
    node: Arc<Node>,
    port: u16,
    client: IpAddr,
    mut request: Request<Incoming>,
) -> Response<AnswerBody> {
    let path = request.uri().path();
    let client_id = request.headers().get("x-request-id");
    let client_id = client_id.and_then(|value| value.to_str().ok());
    let mut ticket = node.oracle.arrived(node.address, path, client_id);
    let decision = node.decide(port, &host_of(&request), path, request.headers());
    let destination = match decision {
        Decision::Fixed { status, body } => {
            ticket.answered(status);
            ticket.finished();
            return answer::fixed(status, &body);
        }
        Decision::NoTarget => return refuse(ticket, Failure::NoTarget),
        Decision::Send(destination) => destination,
    };
    let (group, target) = &destination.registration;
    ticket.routed(group, target, destination.fail_open);
    let now = node.clock.now();
    let asked = tunnel::protocol(request.headers());
    let client_side = asked.as_ref().map(|_| hyper::upgrade::on(&mut request));
    headers::remove_hop_by_hop(request.headers_mut());
    if let Some(protocol) = asked {
        tunnel::announce(request.headers_mut(), protocol);
    }
    headers::add_forwarded(request.headers_mut(), client, port, now, ticket.number());
    let cut = relay::cut_off(destination.cut.clone(), node.clock.clone());
    let forwarded = tokio::select! {
        biased;
        () = cut => Err(Failure::DelayElapsed),
        forwarded = forward(&node, &destination, &mut ticket, request) => forwarded,
    };
    let (mut response, sender) = match forwarded {
        Ok(forwarded) => forwarded,
        Err(failure) => return refuse(ticket, failure),
    };
    let agreed = tunnel::protocol(response.headers());
    headers::remove_hop_by_hop(response.headers_mut());
    sticky::set(
        response.headers_mut(),
        &destination.registration,
        destination.sticky,
        now,
    );
    let idle_timeout = node.config().idle_timeout;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(client), Some(protocol)) = (client_side, agreed) else {
            // The target changed to a protocol that was not asked for, or that it does not name.
            return refuse(ticket, Failure::MalformedAnswer);
        };
        ticket.answered(response.status().as_u16());
        let tunnel = Tunnel {
            client,
            target: hyper::upgrade::on(&mut response),
            cut: destination.cut,
            idle_timeout,
            clock: node.clock.clone(),
        };
        tokio::spawn(tunnel.run(ticket));
        tunnel::announce(response.headers_mut(), protocol);
        return response.map(|_| AnswerBody::Own(Full::default()));
    }
    let (parts, body) = response.into_parts();
    ticket.answered(parts.status.as_u16());
    let open = Open {
        ticket,
        registration: destination.registration,
        sender,
    };
    let relay = Relay::new(body, node, destination.cut, idle_timeout, open);
    Response::from_parts(parts, AnswerBody::Relayed(Box::new(relay)))
}

fn refuse(mut ticket: Ticket, failure: Failure) -> Response<AnswerBody> {
    let status = failure.status();
    ticket.answered(status);
    ticket.failed(failure);
    answer::error_page(status)
}

fn host_of(request: &Request<Incoming>) -> String {
    let header = request.headers().get(header::HOST);
    let host = match header.and_then(|value| value.to_str().ok()) {
        Some(host) => host,
        None => request.uri().host().unwrap_or_default(),
    };
    // The port is no part of what a rule compares.
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        Some(_) | None => host.to_owned(),
    }
}

/// Sends a request and waits for the head of the answer.
async fn forward(
    node: &Node,
    destination: &Destination,
    ticket: &mut Ticket,
    request: Request<Incoming>,
) -> Result<(Response<Incoming>, http1::SendRequest<Upload>), Failure> {
    let mut sender = match node.pool.take(&destination.registration) {
        Some(sender) => {
            ticket.on_reused_connection();
            sender
        }
        None => connect(node, destination).await?,
    };
    let activity = Activity::new(node.clock.now());
    let (mut parts, body) = request.into_parts();
    parts.uri = origin_form(&parts.uri);
    parts.version = Version::HTTP_11;
    let upload = Upload {
        body,
        activity: Arc::clone(&activity),
        clock: node.clock.clone(),
    };
    let idle_timeout = node.config().idle_timeout;
    let response = tokio::select! {
        biased;
        response = sender.send_request(Request::from_parts(parts, upload)) => response,
        () = activity.silent_for(idle_timeout, &node.clock) => return Err(Failure::NoAnswer),
    };
    match response {
        Ok(response) => Ok((response, sender)),
        Err(error) if error.is_parse() => Err(Failure::MalformedAnswer),
        Err(error) if error.is_user() => Err(Failure::ClientGone),
        Err(_) => Err(Failure::ConnectionClosed),
    }
}

async fn connect(
    node: &Node,
    destination: &Destination,
) -> Result<http1::SendRequest<Upload>, Failure> {
    let connecting = node.net.connect(Some(node.address), destination.address);
    let stream = match node
        .clock
        .timeout(node.knobs.connect_timeout, connecting)
        .await
    {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(Failure::ConnectionRefused);
        }
        Ok(Err(_)) => return Err(Failure::ConnectionFailed),
        Err(_) => return Err(Failure::ConnectionTimeout),
    };
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::ConnectionFailed)?;
    // It ends when its sender is dropped, the target closes it or it is used for another protocol;
    // what it says then is of no use.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()))
}
